# the settings of OpenMixup's config for DecoupleMix
_base_ = ["./rx50_cutmix.py"]
model = dict(loss=dict(type="DecoupledCrossEntropy", eta=0.1, mode="both", power=1.0))
train_cfg = dict(max_epochs=800)
