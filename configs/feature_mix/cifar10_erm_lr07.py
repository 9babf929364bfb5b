_base_ = ["../_base_/cifar10_r50.py"]
optim_wrapper = dict(optimizer=dict(lr=0.7))
