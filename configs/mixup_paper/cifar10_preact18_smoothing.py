# Table 5, label smoothing: eps / 10 on each wrong class, 1 - 9 eps / 10 on the right one
_base_ = ["./cifar10_preact18.py"]
model = dict(loss=dict(type="LabelSmoothing", eps=0.1))
