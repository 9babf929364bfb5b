_base_ = ["./r18_smoothmix.py"]
model = dict(mixup=dict(swapped_labels=True))  # labels swapped, as in the published cell
