_base_ = ["../_base_/cifar100_r18.py"]
# not in the tables; alpha as in the paper (10, on CIFAR-10 20), one pass of clean and mixed images
model = dict(mixup=dict(type="RegMixup", method=dict(type="MixUp", alpha=10.0), weight=1.0))
