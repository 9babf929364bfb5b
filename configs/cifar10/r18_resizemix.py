_base_ = ["../_base_/cifar10_r18.py"]
model = dict(mixup=dict(type="ResizeMix", alpha=1.0))
