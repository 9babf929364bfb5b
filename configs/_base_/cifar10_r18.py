_base_ = ["./datasets/cifar10.py", "./models/r18_cifar.py", "./schedules/sgd_200e.py", "./runtime.py"]
model = dict(num_classes=10)
