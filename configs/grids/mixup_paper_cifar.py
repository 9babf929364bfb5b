"""Figure 3(a) of the mixup paper: three networks on CIFAR-10 and CIFAR-100, ERM and mixup with alpha 1."""
base = "configs/mixup_paper/{backbone}.py"
backbones = ["cifar10_preact18", "cifar10_wrn28_10", "cifar10_densenet190",
             "cifar100_preact18", "cifar100_wrn28_10", "cifar100_densenet190"]
mixups = ["Vanilla", dict(type="MixUp", pairing="perm")]
