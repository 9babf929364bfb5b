# what every run shares; each entry can be overridden by a config or --cfg-options
randomness = dict(seed=0, deterministic=False)
env_cfg = dict(amp="auto", channels_last="auto", cudnn_benchmark=True)
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(interval=1, min_seconds=30, max_keep=1, save_best=True),
    preview=dict(interval=50, count=8),
)
# add dict(type="TensorboardVisBackend") or dict(type="WandbVisBackend") to also log there
visualizer = dict(vis_backends=[dict(type="LocalVisBackend")])
