_base_ = ["../_base_/cifar100_wrn28_8.py"]
