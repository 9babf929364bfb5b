# the settings of OpenMixup's config for DecoupleMix
_base_ = ["./rx50_mixup.py"]
model = dict(mixup=dict(alpha=0.2), loss=dict(type="DecoupledCrossEntropy", eta=0.01, mode="both", power=1.0))
train_cfg = dict(max_epochs=800)
