_base_ = ["./cifar10_kd.py"]
model = dict(mixup=dict(temperature=2.0))
