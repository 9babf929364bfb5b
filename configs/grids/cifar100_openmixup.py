"""The cells of the published CIFAR-100 tables that used something else than the corrected method, reproduced
(docs/explanation/openmixup.md)."""
base = "configs/cifar100/{backbone}_{mixup}.py"
backbones = ["r18", "rx50", "wrn28_8"]
mixups = ["smoothmix_openmixup", "saliencymix_openmixup", "fmix_openmixup", "gridmixup_openmixup",
          "resizemix_openmixup", "automix_openmixup", "attentivemix_openmixup"]
epochs = [200, 400, 800, 1200]
seeds = 3
exclude = [dict(backbone="wrn28_8", epochs=[200, 800, 1200])]
