_base_ = ["./cifar100_erm.py"]
data_preprocessor = dict(crop=28)
