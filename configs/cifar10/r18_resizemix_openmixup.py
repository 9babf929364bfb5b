_base_ = ["./r18_resizemix.py"]
# one place a batch, and boxes are cut off at the border: as in the published cell
model = dict(mixup=dict(clipped=True))
