_base_ = ["../_base_/small_r20.py"]
model = dict(mixup=dict(type="RecursiveMix", area=0.5, consistency=0.1))
