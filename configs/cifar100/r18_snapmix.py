_base_ = ["../_base_/cifar100_r18.py"]
# not in the tables; alpha as in the paper, whose data sets are fine-grained
model = dict(mixup=dict(type="SnapMix", alpha=5.0))
