# SAMix-P: block and teacher of a finished run of wrn28_8_samix.py, frozen. Another run or file:
# --cfg-options model.mixup.pretrained=WORK_DIR
_base_ = ["./wrn28_8_samix.py"]
model = dict(mixup=dict(pretrained="work_dirs/cifar100/wrn28_8_samix/seed0"))
val_cfg = test_cfg = dict(network="mix_q")  # the teacher does not learn
