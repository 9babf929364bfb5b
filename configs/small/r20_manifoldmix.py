_base_ = ["../_base_/small_r20.py"]
model = dict(mixup=dict(type="ManifoldMix", alpha=2.0, layers=("input", "layer1", "layer2")))
