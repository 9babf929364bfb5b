_base_ = ["../_base_/mixup_paper_table.py"]
model = dict(backbone=dict(in_features=10), num_classes=28)
train_dataloader = val_dataloader = test_dataloader = dict(
    dataset=dict(file="data/tables/abalone.csv.xz"))
