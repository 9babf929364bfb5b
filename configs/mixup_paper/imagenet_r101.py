_base_ = ["../_base_/mixup_paper_imagenet.py"]
model = dict(backbone=dict(type="ResNet", depth=101, stem="imagenet"))
