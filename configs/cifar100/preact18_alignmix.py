# the recipe of the authors' code, whose 81.71 % is that of the best of 2000 epochs on the test set
_base_ = ["../_base_/cifar100_r18.py"]
model = dict(backbone=dict(_delete_=True, type="PreActResNet", depth=18, stem_norm=True),
             mixup=dict(type="RandomChoice",
                        methods=[dict(type="MixUp", alpha=2.0), dict(type="AlignMix", alpha=2.0)]))
train_dataloader = dict(total_batch=128, augment=dict(mode="zeros"))
auto_scale_lr = dict(base_batch_size=128)
param_scheduler = [dict(type="MultiStepLR", milestones=[500, 1000, 1500], gamma=0.1)]
train_cfg = dict(max_epochs=2000)
