_base_ = ["../_base_/cifar10_rx50.py"]
model = dict(mixup=dict(type="SaliencyMix", alpha=0.2))
