_base_ = ["./cifar10_feature.py"]
data_preprocessor = dict(crop=28)
