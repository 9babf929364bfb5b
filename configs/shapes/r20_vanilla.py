_base_ = ["../_base_/shapes_r20.py"]
