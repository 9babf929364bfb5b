# SAMix-P: block and teacher of a finished run of r18_samix.py, frozen. Another run or file:
# --cfg-options model.mixup.pretrained=WORK_DIR
_base_ = ["./r18_samix.py"]
model = dict(mixup=dict(pretrained="work_dirs/cifar100/r18_samix/seed0"))
val_cfg = test_cfg = dict(network="mix_q")  # the teacher does not learn
