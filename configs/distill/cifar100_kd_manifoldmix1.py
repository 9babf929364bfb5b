_base_ = ["./cifar100_kd.py"]
model = dict(mixup=dict(method=dict(type="ManifoldMix", alpha=1.0, layers=("input", "layer1", "layer2"))))
