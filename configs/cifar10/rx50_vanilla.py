_base_ = ["../_base_/cifar10_rx50.py"]
