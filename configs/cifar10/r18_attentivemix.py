_base_ = ["../_base_/cifar10_r18.py"]
model = dict(mixup=dict(
    type="AttentiveMix",
    alpha=2.0,
    teacher=dict(type="Teacher", backbone=dict(type="TorchvisionModel", name="resnet18", weights="IMAGENET1K_V1"),
                 size=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225),
                 seen_mean=(0.4914, 0.4822, 0.4465), seen_std=(0.2023, 0.1994, 0.2010))))
