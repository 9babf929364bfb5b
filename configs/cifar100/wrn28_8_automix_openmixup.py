_base_ = ["./wrn28_8_automix.py"]
model = dict(mixup=dict(lam_concat=False))  # the mask does not see lam, as in the published cell
