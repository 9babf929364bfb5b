_base_ = ["./datasets/cifar100.py", "./models/rx50_cifar.py", "./schedules/sgd_200e.py", "./runtime.py"]
