# the small benchmark: 20 images of each class of CIFAR-100, a ResNet-20 whose first convolution has stride 2, 200
# epochs of 40 steps; the test set is evaluated four times, as it costs more than an epoch. Batch and learning rate are
# half of those of the tables, weight decay is five times theirs.
_base_ = ["./datasets/cifar100.py", "./models/r20_cifar.py", "./schedules/sgd_200e.py", "./runtime.py"]
model = dict(backbone=dict(stem="half"))
train_dataloader = dict(
    total_batch=50,
    dataset=dict(_delete_=True, type="Subset", per_class=20,
                 data=dict(type="CIFAR100", data_root="data", split="train")))
optim_wrapper = dict(optimizer=dict(lr=0.05, weight_decay=5e-4))
auto_scale_lr = dict(base_batch_size=50)
train_cfg = dict(val_interval=50)
