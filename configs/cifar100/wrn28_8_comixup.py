_base_ = ["../_base_/cifar100_wrn28_8.py"]
model = dict(mixup=dict(type="CoMixup", alpha=2.0), loss=dict(type="SoftmaxBCE"))  # the loss of the authors' code
