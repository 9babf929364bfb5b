_base_ = ["../_base_/small_r20.py"]
model = dict(mixup=dict(type="PatchUp", alpha=2.0, layers=("input", "conv1", "layer1")))
