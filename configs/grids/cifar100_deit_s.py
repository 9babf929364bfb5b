"""DeiT-S on CIFAR-100: every method that has a config, at the two lengths of the published table of transformers. That
table augments with RandAugment, random erasing and crops at 224, so its values are no targets here."""
base = "configs/cifar100/deit_s_{mixup}.py"
mixups = ["vanilla", "mixup", "cutmix", "randomchoice", "smoothmix", "saliencymix", "fmix", "gridmixup", "puzzlemix",
          "resizemix", "transmix", "smmix", "tlalign", "mixpro", "tokenmix"]
epochs = [200, 600]
seeds = 3
