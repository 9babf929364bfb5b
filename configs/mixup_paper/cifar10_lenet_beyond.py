# Measured after cifar10_lenet_between: Table 3, black box, with images made by the gradient of another ERM network,
# seed 1 of the sweep mixup_paper_between_small (for runs of seed 1, which start from its weights, change .../seed1 to
# .../seed0 with --cfg-options); and what is beyond the paper. Added to a finished run of that sweep by
# openmix test mixup_paper/cifar10_lenet_beyond CHECKPOINT --write
# and for a run of mixup, whose method is part of its config, with
# --cfg-options model.mixup.type=MixUp model.mixup.pairing=perm
_base_ = ["./cifar10_lenet_between.py"]
evals = dict(
    _delete_=True,
    fgsm4_other=dict(type="FGSM", eps=4.0,
                     source=dict(type="Teacher", backbone=dict(type="LeNet"),
                                 num_classes=10, head=dict(type="LinearHead", init_std=None),
                                 checkpoint="work_dirs/sweeps/mixup_paper_between_small/"
                                            "cifar10_lenet_between_vanilla/seed1"),
                     dataset=dict(type="Subset", per_class=50,
                                  data=dict(type="CIFAR10", data_root="data", split="test"))),
    ifgsm4_other=dict(type="IFGSM", eps=4.0, steps=10,
                      source=dict(type="Teacher", backbone=dict(type="LeNet"),
                                  num_classes=10, head=dict(type="LinearHead", init_std=None),
                                  checkpoint="work_dirs/sweeps/mixup_paper_between_small/"
                                             "cifar10_lenet_between_vanilla/seed1"),
                      dataset=dict(type="Subset", per_class=50,
                                   data=dict(type="CIFAR10", data_root="data", split="test"))),
    occlusion=dict(type="Occlusion",
                   dataset=dict(type="Subset", per_class=50,
                                data=dict(type="CIFAR10", data_root="data", split="test"))),
    corruptions=dict(type="Corruptions",
                     dataset=dict(type="Subset", per_class=50,
                                  data=dict(type="CIFAR10", data_root="data", split="test"))),
)
