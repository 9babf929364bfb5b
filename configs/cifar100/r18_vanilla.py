_base_ = ["../_base_/cifar100_r18.py"]
