_base_ = ["../_base_/cifar10_rx50.py"]
model = dict(mixup=dict(type="CutMix", alpha=0.2))
