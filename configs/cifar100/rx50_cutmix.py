_base_ = ["../_base_/cifar100_rx50.py"]
model = dict(mixup=dict(type="CutMix", alpha=0.2))
optim_wrapper = dict(optimizer=dict(weight_decay=5e-4))
