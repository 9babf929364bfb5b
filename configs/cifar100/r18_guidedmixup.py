# the paper's first variant: spectral residual, greedy pairing, every second batch
_base_ = ["../_base_/cifar100_r18.py"]
model = dict(mixup=dict(type="GuidedMixup", prob=0.5))
