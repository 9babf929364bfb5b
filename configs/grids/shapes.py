"""Twelve short trainings of a ResNet-8 on the embedded shapes: minutes on a CPU, to try a sweep from grid to table."""
base = "configs/shapes/r20_{mixup}.py"
mixups = ["vanilla", "mixup", "cutmix", "automix"]
epochs = 10
seeds = 3
vary = {"model.backbone.depth": [8]}
overrides = [dict(set={"train_cfg.limit": 20})]  # steps an epoch
