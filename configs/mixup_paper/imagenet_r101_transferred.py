# Table 3 of the mixup paper, black box: images made with the gradient of another ERM network, seed 1 of the sweep
# mixup_paper_attacks. Added to a finished run of its by
# openmix test mixup_paper/imagenet_r101_transferred CHECKPOINT --evals fgsm_other ifgsm_other --write
_base_ = ["./imagenet_r101_attacked.py"]
evals = dict(
    fgsm_other=dict(type="FGSM", eps=4.0,
                    source=dict(type="Teacher", backbone=dict(type="ResNet", depth=101, stem="imagenet"),
                                num_classes=1000,
                                checkpoint="work_dirs/sweeps/mixup_paper_attacks/"
                                           "imagenet_r101_attacked_vanilla/seed1")),
    ifgsm_other=dict(type="IFGSM", eps=4.0, steps=10,
                     source=dict(type="Teacher", backbone=dict(type="ResNet", depth=101, stem="imagenet"),
                                 num_classes=1000,
                                 checkpoint="work_dirs/sweeps/mixup_paper_attacks/"
                                            "imagenet_r101_attacked_vanilla/seed1")),
)
