_base_ = ["../_base_/cifar10_r18.py"]
model = dict(mixup=dict(type="GridMixup", alpha=0.2))
