_base_ = ["./r18_fmix.py"]
model = dict(mixup=dict(banded_spectrum=True))  # masks in horizontal bands, as in the published cell
