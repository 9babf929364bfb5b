# CIFAR-10 in the mixup paper (Figure 3a): 200 epochs, batches of 128, SGD without Nesterov, weight decay 1e-4 on every
# parameter. Reported here: the median of the last 10 epochs; the paper does not say. Its last, incomplete batch of an
# epoch is left out here (390 steps, not 391).
_base_ = ["./datasets/cifar10.py", "./runtime.py"]
model = dict(
    type="Classifier",
    num_classes=10,
    head=dict(type="LinearHead", init_std=None),
    mixup=dict(type="Vanilla"),
)
train_dataloader = dict(total_batch=128)
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=1e-4))
param_scheduler = [dict(type="MultiStepLR", milestones=[100, 150], gamma=0.1)]
train_cfg = dict(max_epochs=200, val_interval=1)
