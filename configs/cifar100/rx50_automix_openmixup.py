_base_ = ["./rx50_automix.py"]
model = dict(mixup=dict(lam_concat=False))  # the mask does not see lam, as in the published cell
