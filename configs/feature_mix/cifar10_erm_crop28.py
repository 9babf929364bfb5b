_base_ = ["./cifar10_erm.py"]
data_preprocessor = dict(crop=28)
