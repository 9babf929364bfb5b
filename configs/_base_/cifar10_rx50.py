_base_ = ["./datasets/cifar10.py", "./models/rx50_cifar.py", "./schedules/sgd_200e.py", "./runtime.py"]
model = dict(num_classes=10)
