_base_ = ["../_base_/cifar10_r50.py"]
model = dict(mixup=dict(type="FeatureMix", alpha=0.2, mix_rate=0.7, layer="layer4"))
optim_wrapper = dict(optimizer=dict(lr=0.7))
