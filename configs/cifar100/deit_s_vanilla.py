_base_ = ["../_base_/cifar100_deit_s.py"]
