# Table 1 of the mixup paper: 90 epochs, batches of 1,024, linear warm-up from 0.1 to 0.4 over 5 epochs. The rest is
# unsaid there and that of the schedule's source (Goyal et al., arXiv 1706.02677): Nesterov momentum, weight decay 1e-4
# but on BN, the last BN of each block starts at 0. Images are decoded bilinearly.
_base_ = ["./datasets/imagefolder.py", "./runtime.py"]
model = dict(
    type="Classifier",
    num_classes=1000,
    backbone=dict(type="ResNet", depth=50, stem="imagenet"),
    mixup=dict(type="Vanilla"),
)
train_dataloader = dict(total_batch=1024, dataset=dict(interpolation="bilinear"))
val_dataloader = test_dataloader = dict(dataset=dict(interpolation="bilinear"))
optim_wrapper = dict(
    optimizer=dict(type="SGD", lr=0.4, momentum=0.9, weight_decay=1e-4, nesterov=True),
    paramwise_cfg=dict(norm_decay_mult=0.0))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.25, end=5, convert_to_iter_based=True),
    dict(type="MultiStepLR", milestones=[30, 60, 80], gamma=0.1),
]
train_cfg = dict(max_epochs=90, val_interval=1)
