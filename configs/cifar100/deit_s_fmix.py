_base_ = ["../_base_/cifar100_deit_s.py"]
model = dict(mixup=dict(type="FMix", alpha=1.0))
