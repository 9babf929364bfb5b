# Figure 2 and Table 3 for a trained network of others, the ResNet-20 of ../distill/cifar10_teacher.py: 500 test images,
# 200 pairs of training images.
# openmix test mixup_paper/cifar10_r20_attacked data/resnet20_cifar10.safetensors --out r20.json
_base_ = ["../distill/cifar10_teacher.py", "../_base_/evals/cifar10_attacks.py"]
evals = dict(
    between=dict(type="InBetween", points=21, allow=["training_images"],
                 dataset=dict(type="Subset", per_class=20,
                              data=dict(type="CIFAR10", data_root="data", split="train"))),
    corruptions=dict(type="Corruptions",
                     dataset=dict(type="Subset", per_class=50,
                                  data=dict(type="CIFAR10", data_root="data", split="test"))),
    occlusion=dict(type="Occlusion",
                   dataset=dict(type="Subset", per_class=50,
                                data=dict(type="CIFAR10", data_root="data", split="test"))))
