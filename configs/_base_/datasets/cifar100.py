# CIFAR-100 as in the tables: pad 4 (reflect), crop, flip; the channel constants of CIFAR-10, as the ancestors use them
data_preprocessor = dict(mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))
train_dataloader = dict(
    total_batch=100,
    dataset=dict(type="CIFAR100", data_root="data", split="train"),
    augment=dict(padding=4, mode="reflect", flip=0.5),
)
val_dataloader = dict(dataset=dict(type="CIFAR100", data_root="data", split="test"))
test_dataloader = dict(dataset=dict(type="CIFAR100", data_root="data", split="test"))
val_evaluator = test_evaluator = dict(type="Accuracy", topk=(1, 5))
val_cfg = test_cfg = dict()
