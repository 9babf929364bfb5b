# LeNet, a student for CPUs. Batch and SGD of mixup-cifar10, which the source of the distillation table is built on, but
# lr 0.02, as with 0.1 this network without batch norm dies, and a cosine, which is right for any number of epochs
_base_ = ["./datasets/cifar10.py", "./schedules/sgd_200e.py", "./runtime.py"]
model = dict(type="Classifier", num_classes=10, backbone=dict(type="LeNet"), mixup=dict(type="Vanilla"))
train_dataloader = dict(total_batch=128)
optim_wrapper = dict(optimizer=dict(lr=0.02))
auto_scale_lr = dict(base_batch_size=128)
