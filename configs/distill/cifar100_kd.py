# The rows of CIFAR-10 on CIFAR-100. The teacher is a run of configs/cifar100/r18_vanilla.py, normalised alike
_base_ = ["../_base_/cifar100_lenet.py"]
model = dict(mixup=dict(
    type="Distill",
    weight=0.9,
    temperature=4.0,
    teacher=dict(type="Teacher", num_classes=100, checkpoint="work_dirs/cifar100/r18_vanilla/seed0",
                 backbone=dict(type="ResNet", depth=18, stem="cifar"))))
# The gradient of T^2 KL(teacher, student) is up to T times that of cross-entropy, and a LeNet has no batch norm that
# would bear it: vanilla's 0.02 over 0.1 + 0.9 T
optim_wrapper = dict(optimizer=dict(lr=0.005))
