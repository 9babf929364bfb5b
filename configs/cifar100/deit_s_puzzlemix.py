_base_ = ["../_base_/cifar100_deit_s.py"]
model = dict(mixup=dict(type="PuzzleMix", alpha=2.0, std=(0.2023, 0.1994, 0.2010)))
