"""Table 5 of the mixup paper without its rows of smoothing and noise: PreActResNet-18 on CIFAR-10, alpha 1 and two
weight decays. Layer k of the paper is the input of stage k, layer 5 that of the pooling. Neighbours are the 200 nearest
of the training set in raw pixels, of any class or of the own one."""
base = "configs/mixup_paper/cifar10_preact18.py"
mixups = [
    "Vanilla",
    dict(type="MixUp", pairing="perm"),
    dict(type="MixUp", pairing="perm", partner="class", labels="nearer", name="inputs_class"),
    dict(type="MixUp", pairing="perm", labels="nearer", name="inputs"),
    dict(type="MixUp", partner="knn", name="knn"),
    dict(type="MixUp", partner="class_knn", labels="nearer", name="inputs_class_knn"),
    dict(type="MixUp", partner="knn", labels="nearer", name="inputs_knn"),
    dict(type="ManifoldMix", alpha=1.0, pairing="perm",
         vary=dict(layers=["stem", "layer1", "layer2", "layer3", "layer4"])),
]
vary = {"optim_wrapper.optimizer.weight_decay": [1e-4, 5e-4]}
