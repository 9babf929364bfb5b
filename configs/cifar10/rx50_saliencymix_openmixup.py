_base_ = ["./rx50_saliencymix.py"]
model = dict(mixup=dict(one_box=True))  # one saliency box a batch, as in the published cell
