# PreAct-ResNet-18 for 300 epochs, as the codes of PuzzleMix and Co-Mixup train it on CIFAR-100
_base_ = ["./datasets/cifar100.py", "./models/preact18.py", "./schedules/sgd_200e.py", "./runtime.py"]
data_preprocessor = dict(mean=(0.5071, 0.4867, 0.4408), std=(0.2675, 0.2565, 0.2761))  # of CIFAR-100
train_dataloader = dict(augment=dict(padding=2, mode="zeros"))
optim_wrapper = dict(optimizer=dict(lr=0.2))
param_scheduler = [dict(type="MultiStepLR", milestones=[100, 200], gamma=0.1)]
train_cfg = dict(max_epochs=300)
