"""Table 2 of the mixup paper, corrupted labels: ERM, and mixup with every alpha of its grid. The paper shows the best
alpha of each noise level by test error, so it was chosen on the test set; here all are shown."""
base = "configs/mixup_paper/{backbone}.py"
backbones = ["noise20_preact18", "noise50_preact18", "noise80_preact18"]
mixups = ["Vanilla", dict(type="MixUp", pairing="perm", vary=dict(alpha=[1.0, 2.0, 8.0, 32.0]))]
