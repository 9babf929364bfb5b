_base_ = ["../_base_/cifar100_r50.py"]
optim_wrapper = dict(optimizer=dict(lr=0.7))
