# the authors' deit_small_patch14_mask56: patches of 14, cells of 56; half MixPro, a quarter each CutMix and MixUp;
# 20 epochs of warm-up, gradients clipped at 5
_base_ = ["../_base_/imagenet_deit_s.py"]
model = dict(backbone=dict(patch_size=14),
             mixup=dict(type="RandomChoice", p=[0.5, 0.25, 0.25],
                        methods=[dict(type="MixPro", alpha=1.0), dict(type="CutMix", alpha=1.0),
                                 dict(type="MixUp", alpha=0.8)]))
optim_wrapper = dict(clip_grad=dict(max_norm=5.0))
param_scheduler = [dict(type="LinearLR", start_factor=1e-3, begin=0, end=20),
                   dict(type="CosineAnnealingLR", eta_min=1e-5, begin=20)]
