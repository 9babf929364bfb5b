# Table 3 of the mixup paper at the size of a CPU: 50 test images a class. eps: grey levels.
evals = {
    name: dict(type=kind, dataset=dict(type="Subset", per_class=50,
                                       data=dict(type="CIFAR10", data_root="data", split="test")), **options)
    for name, kind, options in [
        ("clean", "Accuracy", dict()),
        *((f"fgsm{eps}", "FGSM", dict(eps=float(eps))) for eps in (1, 2, 4, 8)),
        *((f"ifgsm{eps}", "IFGSM", dict(eps=float(eps), steps=10)) for eps in (1, 2, 4, 8)),
        ("pgd4", "PGD", dict(eps=4.0, steps=10, step=1.0)),
    ]}
