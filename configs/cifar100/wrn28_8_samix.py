_base_ = ["../_base_/cifar100_wrn28_8.py"]
model = dict(mixup=dict(type="SAMix", alpha=2.0, lam_mul_k=0.25, layer="layer2"))
param_scheduler = [dict(type="CosineAnnealingLR", eta_min=1e-3)]
val_cfg = test_cfg = dict(network="mix_k")  # named in advance, all four are reported
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={"mixup.block": dict(momentum=0.0)}))
