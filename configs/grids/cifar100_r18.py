"""The ResNet-18 table of CIFAR-100: every method, at the four lengths of the published one. The values of each method
are those of its config in configs/cifar100/."""
base = "configs/cifar100/r18_{mixup}.py"
mixups = ["vanilla", "mixup", "cutmix", "manifoldmix", "smoothmix", "saliencymix", "fmix", "puzzlemix", "gridmixup",
          "gridmix", "resizemix", "automix", "attentivemix", "comixup", "samix", "adautomix", "cutmix_sumix",
          "saliencymix_sumix", "fmix_sumix", "resizemix_sumix", "alignmix", "augmix", "catchupmix", "guidedmixup",
          "mixupe", "patchup", "recursivemix", "regmixup", "rmix", "saliencygrafting", "snapmix"]
epochs = [200, 400, 800, 1200]
seeds = 3
