_base_ = ["../_base_/imagenet_r50.py"]
