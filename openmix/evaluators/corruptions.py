"""Error on corrupted images."""
from pathlib import Path

import torch
from torch import Tensor

from ..checks import number
from ..corruptions import FAMILIES, SEVERITIES, corrupt
from ..errors import did_you_mean
from ..workdir import result
from .base import Evaluator, add, check_batch, refuse_empty, summed


class Corruptions(Evaluator):
    """Error in percent for each family of :mod:`openmix.corruptions` and each severity.

    Hendrycks & Dietterich, ICLR 2019, arXiv 1903.12261. Each family is a list of five errors; ``mean_error`` is the
    mean of all. With a ``baseline``, ``mce`` is the mean corruption error in percent: of each family, the sum of its
    errors by that of the baseline, averaged over the families.

    Args:
        families: names; all 15 by default.
        baseline: work dir, or its ``result.json``, of a finished run that was evaluated in this way.
        seed: of the random numbers, the same for each severity of a family.

    Raises:
        ValueError: an unknown family; a baseline without these errors; images without pixels. FileNotFoundError: no
            baseline there.
    """

    main, lower_is_better = "mean_error", True

    def __init__(self, families=None, baseline: str | None = None, seed: int = 0):
        families = list(FAMILIES) if families is None else [families] if isinstance(families, str) else list(families)
        for name in families:
            if name not in FAMILIES:
                raise ValueError(f"families: unknown corruption {name!r}; {did_you_mean(name, FAMILIES)}")
        if not families or len(set(families)) < len(families):
            raise ValueError(f"families must be different names, at least one, got {families!r}")
        self.families, self.seed = families, number("seed", seed, 0, whole=True)
        self.baseline = None if baseline is None else read_errors(baseline, families)
        self.passes, self.index, self.sums, self.mean, self.std = len(families) * len(SEVERITIES), 0, None, None, None

    def begin(self, loader) -> None:
        self.mean, self.std = getattr(loader, "mean", None), getattr(loader, "std", None)
        if self.mean is None or self.std is None or len(loader.size) != 2:
            raise ValueError(f"Corruptions changes pixels and needs images with mean and std; {loader.data.name} has "
                             "none")
        self.rank = loader.rank

    def begin_pass(self, index: int) -> None:
        self.index, (self.family, self.severity) = index, divmod(index, len(SEVERITIES))
        self.random = torch.Generator().manual_seed((self.seed * 1000 + self.family) * 1000 + self.rank)

    def transform(self, images: Tensor, labels: Tensor) -> Tensor:
        pixels = (images.float() * self.std + self.mean).clamp(0, 1)
        pixels = corrupt(pixels, self.families[self.family], SEVERITIES[self.severity], self.random)
        return ((pixels - self.mean) / self.std).to(images.dtype)

    def update(self, logits: Tensor, labels: Tensor) -> None:
        check_batch(logits, labels)
        rows = torch.zeros(self.passes, 2, dtype=torch.float64, device=logits.device)
        rows[self.index] = torch.stack([(labels >= 0).sum(), ((labels >= 0) & (logits.argmax(1) != labels)).sum()])
        self.sums = add(self.sums, rows)

    def compute(self) -> dict:
        count, wrong = summed(self.sums).view(self.passes, 2).T
        images = refuse_empty(count[0].item())
        errors = (100 * wrong / count).view(len(self.families), len(SEVERITIES))
        values = dict(zip(self.families, errors.tolist(), strict=True))
        values |= dict(mean_error=errors.mean().item(), count=images)
        if self.baseline is not None:
            values["mce"] = 100 * (errors.sum(1) / self.baseline).mean().item()
        return values


def read_errors(path, families: list[str]) -> Tensor:
    """The sums of a run's errors, (families,). Raises ValueError where it has none, or one is 0."""
    path = Path(path) / "result.json" if Path(path).is_dir() else Path(path)
    record = result.read(path)
    for evaluation in record.get("evals", {}).values():
        values = evaluation["networks"].get(record.get("primary"), {})
        if evaluation["type"] == "Corruptions" and set(families) <= values.keys():
            sums = torch.tensor([sum(values[name]) for name in families], dtype=torch.float64)
            if (sums > 0).all():
                return sums
            raise ValueError(f"baseline {path}: a family without errors has nothing to be compared with")
    raise ValueError(f"baseline {path}: the run was not evaluated with Corruptions of these families; add "
                     "evals=dict(corrupted=dict(type='Corruptions')) to its config, then openmix test ... --write")
