# OpenMixup's probabilities: 90 % TokenMix, 10 % MixUp. The teacher is a network trained before, by cifar100/r18_cutmix
_base_ = ["../_base_/cifar100_deit_s.py"]
model = dict(mixup=dict(type="RandomChoice", p=[0.9, 0.1], methods=[
    dict(type="TokenMix", teacher=dict(type="Teacher", backbone=dict(type="ResNet", depth=18, stem="cifar"),
                                       num_classes=100, checkpoint="work_dirs/cifar100/r18_cutmix/seed0")),
    dict(type="MixUp", alpha=0.8)]))
