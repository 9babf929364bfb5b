# the settings of the authors' code, which reports 200, 400 and 800 epochs
_base_ = ["../_base_/cifar100_rx50.py"]
model = dict(mixup=dict(type="AdAutoMix", alpha=1.0, beta=0.3, layer="layer3"))
param_scheduler = [dict(type="CosineAnnealingLR", eta_min=0.05)]
val_cfg = test_cfg = dict(network="mix_k")  # named in advance, all four are reported
