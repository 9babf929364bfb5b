# Table 3 of the mixup paper, white box: four grey levels, ten steps. Epochs and alpha are not stated: 90 and 0.2 here.
_base_ = ["./imagenet_r101.py"]
evals = dict(fgsm=dict(type="FGSM", eps=4.0), ifgsm=dict(type="IFGSM", eps=4.0, steps=10))
