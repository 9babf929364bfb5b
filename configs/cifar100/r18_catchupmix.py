_base_ = ["../_base_/cifar100_r18.py"]
# not in the tables; made after the paper's description
model = dict(mixup=dict(type="CatchUpMix", alpha=1.0, layers=("input", "layer1", "layer2", "layer3")))
