_base_ = ["../_base_/cifar100_r18.py"]
# Zou et al., arXiv 2212.13381: alpha 2, eta 0.001 and threshold 1 in the command for CIFAR-100
model = dict(mixup=dict(type="MixupE", alpha=2.0))
