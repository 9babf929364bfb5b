"""Figure 2 of the mixup paper, and attacks with four grey levels: ERM and mixup, PreActResNet-18 on CIFAR-10."""
base = "configs/mixup_paper/cifar10_preact18_between.py"
mixups = ["Vanilla", dict(type="MixUp", pairing="perm")]
