_base_ = ["../_base_/cifar100_r50.py"]
