_base_ = ["../_base_/small_r20.py"]
model = dict(mixup=dict(type="AutoMix", alpha=2.0, layer="layer2"))
param_scheduler = [dict(type="CosineAnnealingLR", eta_min=0.025)]
val_cfg = test_cfg = dict(network="mix_k")
