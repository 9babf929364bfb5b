_base_ = ["./cifar100_kd.py"]
model = dict(mixup=dict(temperature=2.0))
