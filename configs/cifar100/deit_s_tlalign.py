# patches of 16 pixels at 224 are wider than 2 pixels at 32: patches that a box cuts have both labels
_base_ = ["../_base_/cifar100_deit_s.py"]
model = dict(mixup=dict(type="TLAlign", alpha=1.0))
