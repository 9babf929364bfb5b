model = dict(type="Classifier", num_classes=1000, backbone=dict(type="ResNet", depth=50, stem="imagenet"),
             mixup=dict(type="Vanilla"))
