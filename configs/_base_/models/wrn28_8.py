# convolutions with bias, as in the tables
model = dict(type="Classifier", num_classes=100, mixup=dict(type="Vanilla"),
             backbone=dict(type="WideResNet", depth=28, widen_factor=8, conv_bias=True))
