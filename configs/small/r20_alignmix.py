_base_ = ["../_base_/small_r20.py"]
model = dict(mixup=dict(type="RandomChoice", methods=[dict(type="MixUp", alpha=2.0), dict(type="AlignMix", alpha=2.0)]))
