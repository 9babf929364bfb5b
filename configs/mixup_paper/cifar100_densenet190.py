_base_ = ["../_base_/mixup_paper_cifar100.py"]
# where memory is short: model.backbone.recompute=True
model = dict(backbone=dict(type="DenseNet", depth=190, growth_rate=40))
