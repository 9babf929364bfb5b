_base_ = ["./cifar10_kd.py"]
model = dict(mixup=dict(method=dict(type="MixUp", alpha=2.0)))
