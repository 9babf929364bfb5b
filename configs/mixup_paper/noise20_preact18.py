# Table 2 of the mixup paper: 20 % of the labels drawn anew among all ten classes
_base_ = ["../_base_/mixup_paper_noise.py"]
train_dataloader = dict(dataset=dict(p=0.2))
evals = dict(real=dict(dataset=dict(p=0.2)), corrupted=dict(dataset=dict(p=0.2)))
