_base_ = ["../_base_/mixup_paper_imagenet.py"]
model = dict(backbone=dict(type="ResNet", depth=50, stem="imagenet"))
