# github.com/snu-mllab/Co-Mixup, main.py: its log ends at 80.19, with a median of the last 10 epochs of 80.08
_base_ = ["../_base_/cifar100_preact18.py"]
model = dict(mixup=dict(type="CoMixup", alpha=2.0), loss=dict(type="SoftmaxBCE"))
