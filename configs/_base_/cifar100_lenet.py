# the student of cifar10_lenet.py with 100 classes
_base_ = ["./datasets/cifar100.py", "./schedules/sgd_200e.py", "./runtime.py"]
model = dict(type="Classifier", num_classes=100, backbone=dict(type="LeNet"), mixup=dict(type="Vanilla"))
train_dataloader = dict(total_batch=128)
optim_wrapper = dict(optimizer=dict(lr=0.02))
auto_scale_lr = dict(base_batch_size=128)
