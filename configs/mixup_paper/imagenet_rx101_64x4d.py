_base_ = ["../_base_/mixup_paper_imagenet.py"]
model = dict(backbone=dict(_delete_=True, type="ResNeXt", depth=101, groups=64, width_per_group=4, stem="imagenet"))
