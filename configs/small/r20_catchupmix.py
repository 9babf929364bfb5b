_base_ = ["../_base_/small_r20.py"]
model = dict(mixup=dict(type="CatchUpMix", alpha=1.0, layers=("input", "layer1", "layer2", "layer3")))
