_base_ = ["../_base_/cifar10_r50.py"]
