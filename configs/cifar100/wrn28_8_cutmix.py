_base_ = ["../_base_/cifar100_wrn28_8.py"]
model = dict(mixup=dict(type="CutMix", alpha=0.2))
