"""The CIFAR-10 tables: ResNet-18 and ResNeXt-50, every method, at the four lengths of the published ones."""
base = "configs/cifar10/{backbone}_{mixup}.py"
backbones = ["r18", "rx50"]
mixups = ["vanilla", "mixup", "cutmix", "manifoldmix", "smoothmix", "saliencymix", "fmix", "puzzlemix", "gridmixup",
          "gridmix", "resizemix", "automix", "attentivemix", "comixup", "samix"]
epochs = [200, 400, 800, 1200]
seeds = 3
