# Figure 2 and the attacks of Table 3 at the size of CIFAR: measured after the last epoch. Training images for the
# figure (its architecture and number of pairs are not stated), test images for the attacks.
_base_ = ["./cifar10_preact18.py"]
evals = dict(
    between=dict(type="InBetween", points=21, allow=["training_images"],
                 dataset=dict(type="Subset", data=dict(type="CIFAR10", data_root="data", split="train"),
                              per_class=500)),
    fgsm=dict(type="FGSM", eps=4.0),
    ifgsm=dict(type="IFGSM", eps=4.0, steps=10),
)
