# as CIFAR-10 in the mixup paper; its code has the same mean and deviation of the channels
_base_ = ["./mixup_paper_cifar10.py"]
model = dict(num_classes=100)
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(type="CIFAR100"))
