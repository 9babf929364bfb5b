_base_ = ["../_base_/small_r20.py"]
model = dict(mixup=dict(type="CoMixup", alpha=2.0))
