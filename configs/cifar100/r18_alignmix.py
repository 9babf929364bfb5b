# in turn with MixUp, as the authors train; in the recipe of the tables, in which no value was published
_base_ = ["../_base_/cifar100_r18.py"]
model = dict(mixup=dict(type="RandomChoice", methods=[dict(type="MixUp", alpha=2.0), dict(type="AlignMix", alpha=2.0)]))
