_base_ = ["../_base_/mixup_paper_cifar100.py"]
# the network of its authors: no bias, ReLU, PyTorch's BN, shortcuts that take the activated input
model = dict(backbone=dict(type="WideResNet", depth=28, widen_factor=10, conv_bias=False, leaky_slope=0.0,
                           bn_momentum=0.1, bn_eps=1e-5, raw_shortcut=()))
param_scheduler = [dict(type="MultiStepLR", milestones=[60, 120, 180], gamma=0.1)]
