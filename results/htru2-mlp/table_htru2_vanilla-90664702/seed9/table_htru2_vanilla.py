config_name = 'configs/sweeps/mixup_paper_tables/table_htru2_vanilla.py'
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(interval=1, min_seconds=30, max_keep=1, save_best=True),
    preview=None,
)
env_cfg = dict(amp='auto', channels_last='auto', cudnn_benchmark=True)
model = dict(
    type='Classifier',
    backbone=dict(type='MLP', widths=(128, 128), in_features=8),
    mixup=dict(type='Vanilla'),
    loss=dict(type='SoftCrossEntropy'),
    num_classes=2,
)
optim_wrapper = dict(optimizer=dict(type='Adam', lr=0.001))
param_scheduler = []
randomness = dict(seed=9, deterministic=False)
test_cfg = dict()
test_dataloader = dict(
    dataset=dict(type='TableData', split='test', repetition='{seed}', file='data/tables/htru2.csv.xz'),
)
test_evaluator = dict(type='Accuracy', topk=(1,))
train_cfg = dict(max_epochs=10)
train_dataloader = dict(
    total_batch=16,
    dataset=dict(type='TableData', split='train', repetition='{seed}', file='data/tables/htru2.csv.xz'),
    augment=None,
)
val_cfg = dict()
val_dataloader = dict(
    dataset=dict(type='TableData', split='test', repetition='{seed}', file='data/tables/htru2.csv.xz'),
)
val_evaluator = dict(type='Accuracy', topk=(1,))
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])
