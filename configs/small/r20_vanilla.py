_base_ = ["../_base_/small_r20.py"]
