_base_ = ["../_base_/small_r20.py"]
model = dict(mixup=dict(type="PuzzleMix", alpha=1.0, std=(0.2023, 0.1994, 0.2010)))
