"""In between, attacks and corruptions at the size of a CPU: LeNet on 5,000 images of CIFAR-10, ERM and mixup."""
base = "configs/mixup_paper/cifar10_lenet_between.py"
mixups = ["Vanilla", dict(type="MixUp", pairing="perm")]
seeds = 3
