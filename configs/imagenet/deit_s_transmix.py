# the authors' deit_s_transmix.yaml: 80 % TransMix, 20 % MixUp, weight decay 0.03, 20 epochs of warm-up
_base_ = ["../_base_/imagenet_deit_s.py"]
model = dict(mixup=dict(type="RandomChoice", p=[0.8, 0.2],
                        methods=[dict(type="TransMix", alpha=1.0), dict(type="MixUp", alpha=0.8)]))
optim_wrapper = dict(optimizer=dict(weight_decay=0.03))
param_scheduler = [dict(type="LinearLR", start_factor=1e-3, begin=0, end=20),
                   dict(type="CosineAnnealingLR", eta_min=1e-5, begin=20)]
