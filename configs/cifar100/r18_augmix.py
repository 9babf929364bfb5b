_base_ = ["../_base_/cifar100_r18.py"]
# Hendrycks et al., arXiv 1912.02781: severity 3 and weight 12 for CIFAR; three views are in each step
model = dict(mixup=dict(type="AugMix", mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010)))
