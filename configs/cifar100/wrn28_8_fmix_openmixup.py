_base_ = ["./wrn28_8_fmix.py"]
model = dict(mixup=dict(banded_spectrum=True))  # masks in horizontal bands, as in the published cell
