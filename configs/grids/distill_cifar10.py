"""The distillation table of CIFAR-10: a LeNet beside a ResNet-20 as teacher, with and without mixing. The published
values are of another teacher and probably longer training; 30 epochs are hours on two cores, 200 the usual length."""
base = "configs/distill/cifar10_{mixup}.py"
mixups = ["vanilla", "kd", "kd_t2", "kd_mixup02", "kd_mixup1", "kd_mixup2", "kd_manifoldmix02", "kd_manifoldmix1",
          "kd_fitnet_manifoldmix02", "kd_fitnet_manifoldmix1"]
epochs = [30]
seeds = 3
