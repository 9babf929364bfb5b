model = dict(type="Classifier", num_classes=100, backbone=dict(type="ResNet", depth=18, stem="cifar"),
             mixup=dict(type="Vanilla"))
