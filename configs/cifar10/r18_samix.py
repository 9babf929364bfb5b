_base_ = ["../_base_/cifar10_r18.py"]
model = dict(mixup=dict(type="SAMix", alpha=2.0, lam_mul_k=0.25, layer="layer3"))
param_scheduler = [dict(type="CosineAnnealingLR", eta_min=0.05)]
val_cfg = test_cfg = dict(network="mix_k")  # named in advance, all four are reported
