_base_ = ["../_base_/cifar100_r18.py"]
model = dict(mixup=dict(type="RMix", alpha=1.0))
