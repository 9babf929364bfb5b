"""Table 5 of the mixup paper, Gaussian noise on the inputs, in units of pixels in [0, 1]; no mixing."""
base = "configs/mixup_paper/cifar10_preact18_gaussian.py"
mixups = ["Vanilla"]
vary = {"train_dataloader.augment.noise": [0.05, 0.1, 0.2], "optim_wrapper.optimizer.weight_decay": [1e-4, 5e-4]}
