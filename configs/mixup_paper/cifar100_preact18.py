_base_ = ["../_base_/mixup_paper_cifar100.py"]
model = dict(backbone=dict(type="PreActResNet", depth=18, init="torch"))
