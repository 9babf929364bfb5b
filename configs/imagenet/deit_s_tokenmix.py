# the authors' exp/deit_small: one half TokenMix, one half MixUp, binary cross-entropy. Their maps are an NFNet's, made
# before training; here any trained network is the teacher: set its backbone and checkpoint
_base_ = ["../_base_/imagenet_deit_s.py"]
model = dict(
    loss=dict(_delete_=True, type="BinaryCrossEntropy"),
    mixup=dict(type="RandomChoice", methods=[
        dict(type="TokenMix", teacher=dict(type="Teacher", backbone=dict(type="ResNet", depth=50, stem="imagenet"),
                                           num_classes=1000, checkpoint="work_dirs/imagenet/r50_cutmix/seed0")),
        dict(type="MixUp", alpha=0.8)]))
