_base_ = ["../_base_/cifar100_deit_s.py"]
model = dict(mixup=dict(type="ResizeMix", alpha=1.0))
