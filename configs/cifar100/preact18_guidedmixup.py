# Kang & Kim, AAAI 2023, its second variant ("AP"); 1200 epochs, github.com/3neutronstar/GuidedMixup
_base_ = ["../_base_/cifar100_preact18.py"]
model = dict(mixup=dict(type="GuidedMixup", saliency="gradient", prob=0.8))
optim_wrapper = dict(optimizer=dict(lr=0.1))
param_scheduler = [dict(type="MultiStepLR", milestones=[400, 800], gamma=0.1)]
train_cfg = dict(max_epochs=1200)
