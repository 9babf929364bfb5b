_base_ = ["../_base_/cifar100_r18.py"]
model = dict(mixup=dict(type="SaliencyMix", alpha=0.2))
