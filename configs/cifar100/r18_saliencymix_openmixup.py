_base_ = ["./r18_saliencymix.py"]
model = dict(mixup=dict(one_box=True))  # one saliency box a batch, as in the published cell
