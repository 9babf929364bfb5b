_base_ = ["../_base_/shapes_r20.py"]
model = dict(mixup=dict(type="CutMix", alpha=0.2))
