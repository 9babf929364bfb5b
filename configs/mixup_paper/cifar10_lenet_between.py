# Figure 2 and Table 3 at the size of a CPU: LeNet on 500 images a class, without augmentation, so that ERM fits them.
# In between on 1,000 of them, attacks on 50 test images a class. cifar10_lenet_beyond adds what takes longer.
_base_ = ["../_base_/mixup_paper_cifar10.py", "../_base_/evals/cifar10_attacks.py"]
model = dict(backbone=dict(type="LeNet"))
train_dataloader = dict(
    total_batch=50,
    augment=dict(padding=0, flip=0.0),
    dataset=dict(_delete_=True, type="Subset", per_class=500,
                 data=dict(type="CIFAR10", data_root="data", split="train")))
evals = dict(
    between=dict(type="InBetween", points=21, allow=["training_images"],
                 dataset=dict(type="Subset", per_class=100,
                              data=dict(type="CIFAR10", data_root="data", split="train"))))
optim_wrapper = dict(optimizer=dict(lr=0.02))
train_cfg = dict(max_epochs=30, val_interval=5)
param_scheduler = [dict(type="MultiStepLR", milestones=[15, 22], gamma=0.1)]
