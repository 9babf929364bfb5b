# as in the tables: convolutions with bias, and stages 2 and 3 whose shortcut takes the raw input
model = dict(type="Classifier", num_classes=100, mixup=dict(type="Vanilla"),
             backbone=dict(type="WideResNet", depth=28, widen_factor=8, conv_bias=True, raw_shortcut=(2, 3)))
