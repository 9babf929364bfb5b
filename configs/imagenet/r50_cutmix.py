_base_ = ["../_base_/imagenet_r50.py"]
model = dict(mixup=dict(type="CutMix", alpha=1.0))
