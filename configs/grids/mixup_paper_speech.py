"""Spoken commands of the mixup paper ("Figure 4"): LeNet and VGG-11, ERM and mixup with alpha 0.1 and 0.2."""
base = "configs/mixup_paper/speech_{backbone}.py"
backbones = ["lenet", "vgg11"]
mixups = ["Vanilla", dict(type="MixUp", alpha=0.1, pairing="perm"), dict(type="MixUp", alpha=0.2, pairing="perm")]
seeds = 3
