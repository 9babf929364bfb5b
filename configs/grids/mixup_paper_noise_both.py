"""Table 2 of the mixup paper, mixup with dropout. A rate of 0.1, which its best row of 20 % noise has, is not in the
grid that it states."""
base = "configs/mixup_paper/{backbone}.py"
backbones = ["noise20_preact18", "noise50_preact18", "noise80_preact18"]
mixups = [dict(type="MixUp", pairing="perm", vary=dict(alpha=[1.0, 2.0, 4.0, 8.0]))]
vary = {"model.backbone.dropout": [0.1, 0.3, 0.5, 0.7]}
exclude = [{"backbone": ["noise50_*", "noise80_*"], "model.backbone.dropout": 0.1}]
