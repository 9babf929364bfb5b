_base_ = ["../_base_/cifar10_r18.py"]
