"""The distillation table on CIFAR-100: a LeNet beside a ResNet-18 as teacher, with and without mixing. The teacher is
trained first: openmix train cifar100/r18_vanilla."""
base = "configs/distill/cifar100_{mixup}.py"
mixups = ["vanilla", "kd", "kd_t2", "kd_mixup02", "kd_mixup1", "kd_mixup2", "kd_manifoldmix02", "kd_manifoldmix1",
          "kd_fitnet_manifoldmix02", "kd_fitnet_manifoldmix1"]
epochs = [30, 200]
seeds = 3
