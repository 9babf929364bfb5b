# Figure 2 and Table 3 for a trained network of others, the ResNet-20 of ../distill/cifar10_teacher.py: 500 test images,
# 200 pairs of training images.
# openmix test mixup_paper/cifar10_r20_attacked data/resnet20_cifar10.safetensors --out r20.json
_base_ = ["../distill/cifar10_teacher.py"]
images = dict(type="Subset", per_class=50, data=dict(type="CIFAR10", data_root="data", split="test"))
evals = dict(
    between=dict(type="InBetween", points=21, allow=["training_images"],
                 dataset=dict(type="Subset", per_class=20,
                              data=dict(type="CIFAR10", data_root="data", split="train"))),
    clean=dict(type="Accuracy", dataset=images),
    fgsm1=dict(type="FGSM", eps=1.0, dataset=images),
    fgsm2=dict(type="FGSM", eps=2.0, dataset=images),
    fgsm4=dict(type="FGSM", eps=4.0, dataset=images),
    fgsm8=dict(type="FGSM", eps=8.0, dataset=images),
    ifgsm1=dict(type="IFGSM", eps=1.0, steps=10, dataset=images),
    ifgsm2=dict(type="IFGSM", eps=2.0, steps=10, dataset=images),
    ifgsm4=dict(type="IFGSM", eps=4.0, steps=10, dataset=images),
    ifgsm8=dict(type="IFGSM", eps=8.0, steps=10, dataset=images),
    pgd4=dict(type="PGD", eps=4.0, steps=10, step=1.0, dataset=images),
    corruptions=dict(type="Corruptions", dataset=images),
    occlusion=dict(type="Occlusion", dataset=images),
)
del images
