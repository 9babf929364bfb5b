# Luu et al., arXiv 2212.04875: 81.45; github.com/minhlong94/Random-Mixup, whose OneCycleLR also cycles the momentum
_base_ = ["../_base_/cifar100_preact18.py"]
model = dict(mixup=dict(type="RMix", alpha=1.0))
optim_wrapper = dict(optimizer=dict(lr=0.2995, nesterov=True))
param_scheduler = [dict(type="OneCycleLR", pct_start=0.3, div_factor=100, final_div_factor=1e4,
                        convert_to_iter_based=True)]
