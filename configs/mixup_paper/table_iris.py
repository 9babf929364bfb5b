_base_ = ["../_base_/mixup_paper_table.py"]
model = dict(backbone=dict(in_features=4), num_classes=3)
train_dataloader = val_dataloader = test_dataloader = dict(
    dataset=dict(file="data/tables/iris.csv.xz"))
