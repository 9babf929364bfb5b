_base_ = ["./cifar100_input.py"]
data_preprocessor = dict(crop=28)
