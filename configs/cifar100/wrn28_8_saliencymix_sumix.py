_base_ = ["../_base_/cifar100_wrn28_8.py"]
# SUMix's table: SaliencyMix with its label weights
model = dict(mixup=dict(
    type="SUMix", gamma=0.5, scale=100.0,
    method=dict(type="SaliencyMix", alpha=0.2, mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))))
