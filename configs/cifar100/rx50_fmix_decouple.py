# the settings of OpenMixup's config for DecoupleMix
_base_ = ["./rx50_fmix.py"]
model = dict(loss=dict(type="DecoupledCrossEntropy", eta=0.5, mode="both", power=0.0))
train_cfg = dict(max_epochs=800)
