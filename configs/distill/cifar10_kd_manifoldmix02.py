_base_ = ["./cifar10_kd.py"]
model = dict(mixup=dict(method=dict(type="ManifoldMix", alpha=0.2, layers=("input", "layer1", "layer2"))))
