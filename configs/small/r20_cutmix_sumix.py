_base_ = ["../_base_/small_r20.py"]
model = dict(mixup=dict(type="SUMix", gamma=0.5, scale=100.0, method=dict(type="CutMix", alpha=0.2)))
