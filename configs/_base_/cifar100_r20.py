_base_ = ["./datasets/cifar100.py", "./models/r20_cifar.py", "./schedules/sgd_200e.py", "./runtime.py"]
train_cfg = dict(max_epochs=3)
default_hooks = dict(preview=dict(interval=1))
