"""The loss of DecoupleMix on CIFAR-100, with the settings and the length of OpenMixup's configs. Its tables
publish no values of it."""
base = "configs/cifar100/{backbone}_{mixup}.py"
backbones = ["r18", "rx50"]
mixups = ["mixup_decouple", "cutmix_decouple", "manifoldmix_decouple", "saliencymix_decouple", "fmix_decouple",
          "resizemix_decouple"]
epochs = 800
seeds = 3
