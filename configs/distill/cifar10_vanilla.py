_base_ = ["../_base_/cifar10_lenet.py"]
