_base_ = ["../_base_/cifar100_rx50.py"]
model = dict(mixup=dict(type="SmoothMix"))
