_base_ = ["../_base_/small_r20.py"]
model = dict(mixup=dict(type="AugMix", mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010)))
