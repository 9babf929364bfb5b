_base_ = ["./rx50_smoothmix.py"]
model = dict(mixup=dict(swapped_labels=True))  # labels swapped, as in the published cell
