model = dict(type="Classifier", num_classes=100, backbone=dict(type="ResNeXt", depth=50, stem="cifar"),
             mixup=dict(type="Vanilla"))
