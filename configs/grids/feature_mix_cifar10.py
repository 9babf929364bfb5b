"""ResNet-50 with a share of the batch mixed at the input or at the head's feature map (CIFAR-10). The source compares
learning rates of 0.05 (ERM) and 0.7 (mixup); here each row is trained with both."""
base = "configs/feature_mix/cifar10_{mixup}.py"
mixups = ["erm", "input", "feature", "erm_lr07", "input_lr005", "feature_lr005",
          "erm_crop28", "input_crop28", "feature_crop28"]
epochs = [90, 200, 300]
seeds = 3
