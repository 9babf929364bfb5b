"""The Wide-ResNet-28-8 table of CIFAR-100: every method, 400 epochs as the published one."""
base = "configs/cifar100/wrn28_8_{mixup}.py"
mixups = ["vanilla", "mixup", "cutmix", "manifoldmix", "smoothmix", "saliencymix", "fmix", "puzzlemix", "gridmixup",
          "gridmix", "resizemix", "automix", "attentivemix", "comixup", "samix", "cutmix_sumix", "saliencymix_sumix",
          "fmix_sumix", "resizemix_sumix"]
epochs = 400
seeds = 3
