_base_ = ["./datasets/cifar100.py", "./models/wrn28_8.py", "./schedules/sgd_200e.py", "./runtime.py"]
optim_wrapper = dict(optimizer=dict(lr=0.03, weight_decay=1e-3))
train_cfg = dict(max_epochs=400)
