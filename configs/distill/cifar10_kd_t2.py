_base_ = ["./cifar10_kd.py"]
model = dict(mixup=dict(temperature=2.0))
optim_wrapper = dict(optimizer=dict(lr=0.01))  # 0.02 over 0.1 + 0.9 T
