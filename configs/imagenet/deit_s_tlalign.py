# the authors' script: every batch by CutMix on the grid of patches
_base_ = ["../_base_/imagenet_deit_s.py"]
model = dict(mixup=dict(type="TLAlign", alpha=1.0, patch=16))
