_base_ = ["../_base_/cifar100_rx50.py"]
# SUMix's table: CutMix with its label weights; weight decay as in the authors' configs
model = dict(mixup=dict(type="SUMix", gamma=0.5, scale=100.0, method=dict(type="CutMix", alpha=0.2)))
