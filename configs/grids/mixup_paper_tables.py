"""Table 4 of the mixup paper: six UCI sets, ERM and mixup. Alpha, splits and repetitions are not stated there.

Here: alpha 0.2 and 1, stratified 5 x 2-fold. Both sets named Phishing are there, as the paper does not say which.
"""
base = "configs/mixup_paper/table_{backbone}.py"
backbones = ["abalone", "arcene", "arrhythmia", "htru2", "iris", "phishing_1353", "phishing_11055"]
mixups = ["Vanilla", dict(type="MixUp", alpha=0.2, pairing="perm"), dict(type="MixUp", alpha=1.0, pairing="perm")]
seeds = 10
