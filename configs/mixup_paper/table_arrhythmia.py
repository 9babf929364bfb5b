_base_ = ["../_base_/mixup_paper_table.py"]
model = dict(backbone=dict(in_features=279), num_classes=13)
train_dataloader = val_dataloader = test_dataloader = dict(
    dataset=dict(file="data/tables/arrhythmia.csv.xz"))
