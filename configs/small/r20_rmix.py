_base_ = ["../_base_/small_r20.py"]
model = dict(mixup=dict(type="RMix", alpha=1.0))
