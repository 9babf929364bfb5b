"""How much alpha matters: ResNet-18 on CIFAR-100, 200 epochs. Options that are not named are those of the config."""
base = "configs/cifar100/r18_{mixup}.py"
mixups = [
    dict(type="MixUp", vary=dict(alpha=[0.2, 0.5, 1.0, 2.0])),
    dict(type="CutMix", vary=dict(alpha=[0.2, 1.0])),
    dict(type="CutMix", alpha=1.0, prob=0.5, name="official"),
    dict(type="PuzzleMix", vary=dict(alpha=[0.5, 1.0])),
]
epochs = 200
seeds = 3
