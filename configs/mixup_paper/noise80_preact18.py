# Table 2 of the mixup paper: 80 % of the labels drawn anew among all ten classes
_base_ = ["../_base_/mixup_paper_noise.py"]
train_dataloader = dict(dataset=dict(p=0.8))
evals = dict(real=dict(dataset=dict(p=0.8)), corrupted=dict(dataset=dict(p=0.8)))
