"""Three words of the spoken commands of the mixup paper: its networks and recipe, and a table of its own."""
base = "configs/mixup_paper/speech3_{backbone}.py"
backbones = ["lenet", "vgg11"]
mixups = ["Vanilla", dict(type="MixUp", alpha=0.1, pairing="perm"), dict(type="MixUp", alpha=0.2, pairing="perm")]
seeds = 3
