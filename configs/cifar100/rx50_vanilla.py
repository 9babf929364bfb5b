_base_ = ["../_base_/cifar100_rx50.py"]
