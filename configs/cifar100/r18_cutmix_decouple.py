# the settings of OpenMixup's config for DecoupleMix
_base_ = ["./r18_cutmix.py"]
model = dict(loss=dict(type="DecoupledCrossEntropy", eta=0.1, mode="less", power=0.5))
train_cfg = dict(max_epochs=800)
