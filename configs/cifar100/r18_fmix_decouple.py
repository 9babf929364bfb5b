# the settings of OpenMixup's config for DecoupleMix
_base_ = ["./r18_fmix.py"]
model = dict(loss=dict(type="DecoupledCrossEntropy", eta=0.01, mode="less", power=0.0))
train_cfg = dict(max_epochs=800)
