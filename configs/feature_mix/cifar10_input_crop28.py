_base_ = ["./cifar10_input.py"]
data_preprocessor = dict(crop=28)
