"""The small benchmark: every method for convolutional networks, with a small ResNet-20 and 20 images of each class of
CIFAR-100. Options of a method are those of its config in configs/cifar100/.

AttentiveMix is left out: its teacher has seen ImageNet.
"""
base = "configs/small/{backbone}_{mixup}.py"
backbones = ["r20"]
mixups = ["vanilla", "mixup", "cutmix", "manifoldmix", "smoothmix", "saliencymix", "fmix", "puzzlemix", "gridmixup",
          "gridmix", "resizemix", "automix", "comixup", "samix", "adautomix", "cutmix_sumix", "alignmix", "augmix",
          "catchupmix", "guidedmixup", "mixupe", "patchup", "recursivemix", "regmixup", "rmix", "saliencygrafting",
          "snapmix"]
epochs = 200
seeds = 3
