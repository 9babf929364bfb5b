_base_ = ["./rx50_saliencymix.py"]
# one saliency box a batch, of the first image as OpenCV sees it: as in the published cell
model = dict(mixup=dict(one_box=True, saliency="fine_grained"))
