"""Table 3 of the mixup paper, white box: ResNet-101 on ImageNet, ERM (two seeds) and mixup with alpha 0.2."""
base = "configs/mixup_paper/imagenet_r101_attacked.py"
mixups = ["Vanilla", dict(type="MixUp", alpha=0.2, pairing="perm")]
seeds = 2
processes = 8
