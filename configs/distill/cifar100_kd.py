# The rows of CIFAR-10 on CIFAR-100. The teacher is a run of configs/cifar100/r18_vanilla.py, normalised alike
_base_ = ["../_base_/cifar100_lenet.py"]
model = dict(mixup=dict(
    type="Distill",
    weight=0.9,
    temperature=4.0,
    teacher=dict(type="Teacher", num_classes=100, checkpoint="work_dirs/cifar100/r18_vanilla/seed0",
                 backbone=dict(type="ResNet", depth=18, stem="cifar"))))
