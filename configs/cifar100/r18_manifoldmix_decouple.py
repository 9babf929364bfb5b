# the settings of OpenMixup's config for DecoupleMix
_base_ = ["./r18_manifoldmix.py"]
model = dict(mixup=dict(alpha=0.5), loss=dict(type="DecoupledCrossEntropy", eta=0.01, mode="more", power=0.0))
train_cfg = dict(max_epochs=800)
