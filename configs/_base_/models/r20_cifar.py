# the small one (16-32-64 channels), for CPUs
model = dict(type="Classifier", num_classes=100, backbone=dict(type="CifarResNet", depth=20),
             mixup=dict(type="Vanilla"))
