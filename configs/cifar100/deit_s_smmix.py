# OpenMixup's probabilities: 80 % SMMix, 20 % MixUp
_base_ = ["../_base_/cifar100_deit_s.py"]
model = dict(mixup=dict(type="RandomChoice", p=[0.8, 0.2],
                        methods=[dict(type="SMMix"), dict(type="MixUp", alpha=0.8)]))
