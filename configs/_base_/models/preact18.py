model = dict(type="Classifier", num_classes=100, backbone=dict(type="PreActResNet", depth=18),
             mixup=dict(type="Vanilla"))
