_base_ = ["../_base_/cifar100_r18.py"]
# not in the tables; settings of the paper for CIFAR
model = dict(mixup=dict(type="RecursiveMix", area=0.5, consistency=0.1))
