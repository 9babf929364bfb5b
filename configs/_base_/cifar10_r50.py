# as in an MXNet project on feature mixup: ResNet-50, batch 256, lr / 10 at epochs 10, 100 and 200
_base_ = ["./datasets/cifar10.py", "./schedules/sgd_200e.py", "./runtime.py"]
model = dict(type="Classifier", num_classes=10, backbone=dict(type="ResNet", depth=50, stem="cifar"),
             mixup=dict(type="Vanilla"))
train_dataloader = dict(total_batch=256)
optim_wrapper = dict(optimizer=dict(lr=0.05))
param_scheduler = [dict(type="MultiStepLR", milestones=[10, 100, 200], gamma=0.1)]
train_cfg = dict(max_epochs=90)
auto_scale_lr = dict(base_batch_size=256)
