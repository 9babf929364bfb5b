_base_ = ["../_base_/mixup_paper_table.py"]
model = dict(backbone=dict(in_features=8), num_classes=2)
train_dataloader = val_dataloader = test_dataloader = dict(
    dataset=dict(file="data/tables/htru2.csv.xz"))
