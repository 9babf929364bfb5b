# the soft form of the paper, in the recipe of the tables
_base_ = ["../_base_/cifar100_r18.py"]
model = dict(mixup=dict(type="PatchUp", alpha=2.0, layers=("input", "conv1", "layer1")), loss=dict(type="SoftmaxBCE"))
