# The teacher: ResNet-20, pretrained_models/resnet20 of github.com/akamaster/pytorch_resnet_cifar10 in data/.
# openmix test distill/cifar10_teacher data/resnet20_cifar10.safetensors gives its 8.27 % error
_base_ = ["../_base_/datasets/cifar10.py", "../_base_/schedules/sgd_200e.py", "../_base_/runtime.py"]
model = dict(type="Classifier", num_classes=10, mixup=dict(type="Vanilla"),
             backbone=dict(type="CifarResNet", depth=20, shortcut="A"))
data_preprocessor = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
train_dataloader = dict(total_batch=128)
auto_scale_lr = dict(base_batch_size=128)
