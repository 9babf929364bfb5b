# Figure 2 and Table 3 for a trained network of others, the ResNet-20 of ../distill/cifar10_teacher.py: 500 test images,
# 200 pairs of training images.
# The images of "other" are those of an ERM network of ../grids/mixup_paper_between_small.py, seed 1.
# openmix test mixup_paper/cifar10_r20_attacked data/resnet20_cifar10.safetensors --out r20.json
_base_ = ["../distill/cifar10_teacher.py", "../_base_/evals/cifar10_attacks.py"]
evals = dict(
    between=dict(type="InBetween", points=21, allow=["training_images"],
                 dataset=dict(type="Subset", per_class=20,
                              data=dict(type="CIFAR10", data_root="data", split="train"))),
    fgsm4_other=dict(type="FGSM", eps=4.0,
                     source=dict(type="Teacher", backbone=dict(type="LeNet"),
                                 num_classes=10, head=dict(type="LinearHead", init_std=None),
                                 checkpoint="work_dirs/sweeps/mixup_paper_between_small/"
                                            "cifar10_lenet_between_vanilla/seed1"),
                     dataset=dict(type="Subset", per_class=50,
                                  data=dict(type="CIFAR10", data_root="data", split="test"))),
    ifgsm4_other=dict(type="IFGSM", eps=4.0, steps=10,
                      source=dict(type="Teacher", backbone=dict(type="LeNet"),
                                  num_classes=10, head=dict(type="LinearHead", init_std=None),
                                  checkpoint="work_dirs/sweeps/mixup_paper_between_small/"
                                             "cifar10_lenet_between_vanilla/seed1"),
                      dataset=dict(type="Subset", per_class=50,
                                   data=dict(type="CIFAR10", data_root="data", split="test"))),
    corruptions=dict(type="Corruptions",
                     dataset=dict(type="Subset", per_class=50,
                                  data=dict(type="CIFAR10", data_root="data", split="test"))),
    occlusion=dict(type="Occlusion",
                   dataset=dict(type="Subset", per_class=50,
                                data=dict(type="CIFAR10", data_root="data", split="test"))))
