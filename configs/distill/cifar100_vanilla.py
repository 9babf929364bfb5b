_base_ = ["../_base_/cifar100_lenet.py"]
