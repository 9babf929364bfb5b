# Table 2 of the mixup paper: test labels are clean; training accuracy on both parts after the last epoch, without
# augmentation. "corrupted" counts the corrupted label as right: memory of it, not knowledge.
_base_ = ["./mixup_paper_cifar10.py"]
model = dict(backbone=dict(type="PreActResNet", depth=18, init="torch"))
train_dataloader = dict(
    dataset=dict(_delete_=True, type="LabelNoise", kind="uniform", p=0.2, seed=12345,
                 data=dict(type="CIFAR10", data_root="data", split="train")))
evals = dict(
    real=dict(type="Accuracy", topk=(1,), allow=["training_images"],
              dataset=dict(type="LabelNoise", kind="uniform", p=0.2, seed=12345, part="clean",
                           data=dict(type="CIFAR10", data_root="data", split="train"))),
    corrupted=dict(type="Accuracy", topk=(1,), allow=["training_images"],
                   dataset=dict(type="LabelNoise", kind="uniform", p=0.2, seed=12345, part="noisy",
                                data=dict(type="CIFAR10", data_root="data", split="train"))),
)
