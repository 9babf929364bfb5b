# DeiT-S of timm: 12 layers, 6 heads, patches of 16; needs the extra timm
model = dict(type="Classifier", num_classes=1000, mixup=dict(type="Vanilla"), loss=dict(type="LabelSmoothing", eps=0.1),
             backbone=dict(type="TimmModel", name="deit_small_patch16_224", drop_path_rate=0.1))
