"""The cells of the published CIFAR-10 tables that used something else than the corrected method, reproduced
(docs/explanation/openmixup.md)."""
base = "configs/cifar10/{backbone}_{mixup}.py"
backbones = ["r18", "rx50"]
mixups = ["smoothmix_openmixup", "saliencymix_openmixup", "fmix_openmixup", "gridmixup_openmixup",
          "resizemix_openmixup", "attentivemix_openmixup"]
epochs = [200, 400, 800, 1200]
seeds = 3
