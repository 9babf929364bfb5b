_base_ = ["./rx50_saliencymix.py"]
# OpenCV's detector was handed normalised floats, of which it reads single bytes: one nearly random box a batch
model = dict(mixup=dict(one_box=True, saliency="float_bytes"))
