_base_ = ["./r18_resizemix.py"]
# one box a batch, cut off at the border: as in the published cell
model = dict(mixup=dict(clipped=True))
