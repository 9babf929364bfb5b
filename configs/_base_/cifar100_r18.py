_base_ = ["./datasets/cifar100.py", "./models/r18_cifar.py", "./schedules/sgd_200e.py", "./runtime.py"]
