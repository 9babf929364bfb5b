"""Table 5 of the mixup paper, label smoothing: alone, and with mixed inputs that keep the label of the nearer image."""
base = "configs/mixup_paper/cifar10_preact18_smoothing.py"
mixups = ["Vanilla", dict(type="MixUp", pairing="perm", labels="nearer", name="inputs")]
vary = {"model.loss.eps": [0.05, 0.1, 0.2, 0.4], "optim_wrapper.optimizer.weight_decay": [1e-4, 5e-4]}
exclude = [{"mixup": "Vanilla", "model.loss.eps": 0.4}]
