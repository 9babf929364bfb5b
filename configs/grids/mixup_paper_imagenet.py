"""Table 1 of the mixup paper, ResNet-50 and 101: ERM and mixup with alpha 0.2, 90 and 200 epochs, on 8 GPUs."""
base = "configs/mixup_paper/imagenet_{backbone}.py"
backbones = ["r50", "r101"]
mixups = ["Vanilla", dict(type="MixUp", alpha=0.2, pairing="perm")]
epochs = [90, 200]
processes = 8
overrides = [dict(match=dict(epochs=200), set={"param_scheduler": [
    dict(type="LinearLR", start_factor=0.25, end=5, convert_to_iter_based=True),
    dict(type="MultiStepLR", milestones=[60, 120, 180], gamma=0.1)]})]
