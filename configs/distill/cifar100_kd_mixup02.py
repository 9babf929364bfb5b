_base_ = ["./cifar100_kd.py"]
model = dict(mixup=dict(method=dict(type="MixUp", alpha=0.2)))
