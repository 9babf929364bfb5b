"""Corrupted labels at the size of a CPU: half of 2,000 labels drawn anew, ERM and mixup with alpha 8 and 32."""
base = "configs/mixup_paper/noise50_lenet.py"
mixups = ["Vanilla", dict(type="MixUp", pairing="perm", vary=dict(alpha=[8.0, 32.0]))]
seeds = 3
