_base_ = ["../_base_/cifar100_wrn28_8.py"]
# SUMix's table: ResizeMix with its label weights
model = dict(mixup=dict(type="SUMix", gamma=0.5, scale=100.0, method=dict(type="ResizeMix", alpha=1.0)))
