# Table 4 of the mixup paper: two hidden layers of 128, Adam with its defaults, 10 epochs, batches of 16.
# Splits, alpha and repetitions are not stated there. Here: stratified 5 x 2-fold, one repetition a seed.
_base_ = ["./runtime.py"]
model = dict(
    type="Classifier",
    backbone=dict(type="MLP", widths=(128, 128)),
    mixup=dict(type="Vanilla"),
    loss=dict(type="SoftCrossEntropy"),
)
train_dataloader = dict(
    total_batch=16,
    dataset=dict(type="TableData", split="train", repetition="{seed}"),
    augment=None,
)
val_dataloader = dict(dataset=dict(type="TableData", split="test", repetition="{seed}"))
test_dataloader = dict(dataset=dict(type="TableData", split="test", repetition="{seed}"))
val_evaluator = test_evaluator = dict(type="Accuracy", topk=(1,))
val_cfg = test_cfg = dict()
train_cfg = dict(max_epochs=10)
optim_wrapper = dict(optimizer=dict(type="Adam", lr=1e-3))
param_scheduler = []
default_hooks = dict(preview=None)
