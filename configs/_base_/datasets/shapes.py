# the embedded set: ten classes of shapes, made on the spot, nothing to download
data_preprocessor = dict(mean=(0.5, 0.5, 0.5), std=(0.228, 0.228, 0.228))
train_dataloader = dict(
    total_batch=100,
    dataset=dict(type="Shapes", split="train"),
    augment=dict(padding=4, mode="reflect", flip=0.5),
)
val_dataloader = dict(dataset=dict(type="Shapes", split="test"))
test_dataloader = dict(dataset=dict(type="Shapes", split="test"))
val_evaluator = test_evaluator = dict(type="Accuracy", topk=(1, 5))
val_cfg = test_cfg = dict()
