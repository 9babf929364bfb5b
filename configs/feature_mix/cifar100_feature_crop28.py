_base_ = ["./cifar100_feature.py"]
data_preprocessor = dict(crop=28)
