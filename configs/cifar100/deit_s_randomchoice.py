# the table's row DeiT: CutMix and MixUp with equal chance
_base_ = ["../_base_/cifar100_deit_s.py"]
model = dict(mixup=dict(type="RandomChoice", methods=[dict(type="MixUp", alpha=0.8), dict(type="CutMix", alpha=1.0)]))
