"""Table 2 of the mixup paper, ERM with dropout."""
base = "configs/mixup_paper/{backbone}.py"
backbones = ["noise20_preact18", "noise50_preact18", "noise80_preact18"]
mixups = ["Vanilla"]
vary = {"model.backbone.dropout": [0.5, 0.7, 0.8, 0.9]}
