# the teacher takes images normalised for CIFAR, and its batch norm the statistics of the batch
_base_ = ["./r18_attentivemix.py"]
model = dict(mixup=dict(literal=True, teacher=dict(mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))))
