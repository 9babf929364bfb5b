# the middle layers; joint training in one stage. Two stages: hint_stage=0.3
_base_ = ["./cifar10_kd_manifoldmix02.py"]
model = dict(mixup=dict(hints=[("layer2", "layer2")], hint_weight=1.0))
