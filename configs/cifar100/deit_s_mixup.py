_base_ = ["../_base_/cifar100_deit_s.py"]
model = dict(mixup=dict(type="MixUp", alpha=0.8))
