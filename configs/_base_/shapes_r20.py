_base_ = ["./datasets/shapes.py", "./models/r20_cifar.py", "./schedules/sgd_200e.py", "./runtime.py"]
model = dict(num_classes=10)
train_cfg = dict(max_epochs=3)
default_hooks = dict(preview=dict(interval=1))
