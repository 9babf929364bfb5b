# "Figure 4" of the mixup paper: Google commands, Adam, 30 epochs, batches of 100, learning rate divided by 10 every 10
# epochs; mixing starts with the sixth epoch. Which epoch is reported is not stated: the last here.
_base_ = ["./runtime.py"]
model = dict(
    type="Classifier",
    backbone=dict(type="SpeechLeNet"),
    num_classes=30,
    mixup=dict(type="Vanilla"),
    loss=dict(type="SoftCrossEntropy"),
)
train_dataloader = dict(
    total_batch=100,
    dataset=dict(type="SpeechCommands", data_root="data/speech_commands_v0.01", split="train"),
    augment=None,
)
val_dataloader = dict(dataset=dict(type="SpeechCommands", data_root="data/speech_commands_v0.01", split="val"))
test_dataloader = dict(dataset=dict(type="SpeechCommands", data_root="data/speech_commands_v0.01", split="test"))
val_evaluator = test_evaluator = dict(type="Accuracy", topk=(1,))
val_cfg = test_cfg = dict()
train_cfg = dict(max_epochs=30, mixup_begin_epoch=5)
optim_wrapper = dict(optimizer=dict(type="Adam", lr=3e-3))
param_scheduler = [dict(type="MultiStepLR", milestones=[10, 20], gamma=0.1)]
default_hooks = dict(preview=None)
