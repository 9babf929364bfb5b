_base_ = ["../_base_/small_r20.py"]
model = dict(mixup=dict(type="RegMixup", method=dict(type="MixUp", alpha=10.0), weight=1.0))
