"""The ResNeXt-50 table of CIFAR-100: every method, at the four lengths of the published one. The values of each method
are those of its config in configs/cifar100/: weight decay is 5e-4 for CutMix, SaliencyMix, FMix and ResizeMix."""
base = "configs/cifar100/rx50_{mixup}.py"
mixups = ["vanilla", "mixup", "cutmix", "manifoldmix", "smoothmix", "saliencymix", "fmix", "puzzlemix", "gridmixup",
          "gridmix", "resizemix", "automix", "attentivemix", "comixup", "samix", "adautomix", "cutmix_sumix",
          "saliencymix_sumix", "fmix_sumix", "resizemix_sumix"]
epochs = [200, 400, 800, 1200]
seeds = 3
