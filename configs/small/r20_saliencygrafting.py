_base_ = ["../_base_/small_r20.py"]
model = dict(mixup=dict(type="SaliencyGrafting", alpha=1.0, temperature=1.0))
