# Table 2 at the size of a CPU, a table of its own: 200 images a class, LeNet, half of the labels drawn anew. Without
# augmentation, through which so small a network memorises nothing. lr 0.02: with 0.1 a LeNet dies.
_base_ = ["../_base_/mixup_paper_noise.py"]
model = dict(backbone=dict(_delete_=True, type="LeNet"))
train_dataloader = dict(
    total_batch=50,
    augment=dict(padding=0, flip=0.0),
    dataset=dict(p=0.5, data=dict(_delete_=True, type="Subset", per_class=200,
                                  data=dict(type="CIFAR10", data_root="data", split="train"))))
evals = dict(
    real=dict(dataset=dict(p=0.5, data=dict(_delete_=True, type="Subset", per_class=200,
                                            data=dict(type="CIFAR10", data_root="data", split="train")))),
    corrupted=dict(dataset=dict(p=0.5, data=dict(_delete_=True, type="Subset", per_class=200,
                                                 data=dict(type="CIFAR10", data_root="data", split="train")))),
)
optim_wrapper = dict(optimizer=dict(lr=0.02))
train_cfg = dict(max_epochs=60, val_interval=10)
param_scheduler = [dict(type="MultiStepLR", milestones=[30, 45], gamma=0.1)]
