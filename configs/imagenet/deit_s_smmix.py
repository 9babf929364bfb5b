# the authors' script: one half SMMix, one half MixUp
_base_ = ["../_base_/imagenet_deit_s.py"]
model = dict(mixup=dict(type="RandomChoice", methods=[dict(type="SMMix"), dict(type="MixUp", alpha=0.8)]))
