_base_ = ["../_base_/shapes_r20.py"]
model = dict(mixup=dict(type="MixUp", alpha=1.0))
