_base_ = ["./r18_gridmixup.py"]
# holes that the upper or left edge cuts are lost: as in the published cell
model = dict(mixup=dict(negative_slices=True))
