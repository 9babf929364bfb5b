"""The evaluation loop: one loop for validation, tests and named evaluations, every network a mixing method names."""
import itertools

import torch
import torch.distributed as dist
from mmengine.runner import BaseLoop

from ..evaluators.base import Evaluator
from ..registry import EVALUATORS
from .build import build_loader
from .distributed.launch import unwrap
from .step.eager import Diverged

__all__ = ["EvalLoop"]


@torch.no_grad()
def evaluate(model, networks: dict, loader, evaluators: dict, limit: int | None = None) -> tuple[dict, torch.Tensor]:
    """Drive one evaluator a network over a loader; what each of them does is in :mod:`openmix.evaluators.base`.

    Args:
        model: the classifier, in evaluation mode. networks: every network by name, the classifier's and others.
        evaluators: of the networks to be evaluated, by name; all of one kind.
        limit: at most so many batches a pass.

    Returns:
        {network: values}, and for each network whether a batch of this process gave logits that are infinite or NaN.
    """
    first, own = next(iter(evaluators.values())), model.networks().keys()
    own, others = [name for name in evaluators if name in own], [name for name in evaluators if name not in own]
    perturbs = type(first).perturb is not Evaluator.perturb
    largest: dict[str, torch.Tensor] = {}  # logit of each network; NaN where one was. Two small kernels a batch
    for evaluator in evaluators.values():
        evaluator.begin(loader)
    for index in range(first.passes):
        for evaluator in evaluators.values():
            evaluator.begin_pass(index)
        for images, labels in itertools.islice(loader, limit):
            images = first.transform(images, labels)
            if perturbs:
                logits = {name: networks[name](evaluator.perturb(networks[name], images, labels))
                          for name, evaluator in evaluators.items()}
            else:
                logits = model(images, mode="predict") if own else {}
                logits |= {name: networks[name](images) for name in others}
            for name, evaluator in evaluators.items():
                evaluator.update(logits[name], labels)
                peak = logits[name].amax()
                largest[name] = torch.maximum(largest[name], peak) if name in largest else peak
    wrong = [~(largest[name] < float("inf")) for name in evaluators if name in largest]  # -inf masks classes
    values = {name: evaluator.compute() for name, evaluator in evaluators.items()}
    return values, torch.stack(wrong).float() if wrong else torch.zeros(len(evaluators), device=loader.device)


class EvalLoop(BaseLoop):
    """One evaluation: a data set, an evaluator, networks. Each image counts once for any number of processes.

    Args:
        evaluator: its config; ``Accuracy`` by default.
        network: name of the network whose accuracy is the run's; by default the first one.
        limit: at most so many batches (``--dry-run``).

    Attributes:
        mode: ``val``, ``test``, or ``evals.<name>`` of a named evaluation.
        names: of the networks that are evaluated; None for all.
    """

    mode, names = "val", None

    def __init__(self, runner, dataloader, evaluator=None, network: str | None = None, limit: int | None = None):
        super().__init__(runner, build_loader(runner, dataloader, train=False))
        self.config, self.network, self.limit = dict(evaluator or dict(type="Accuracy")), network, limit
        made = self.make_evaluator()
        self.main, self.lower_is_better = made.main, made.lower_is_better
        classes = unwrap(runner.model).num_classes
        if classes:
            made.check_classes(classes)

    def make_evaluator(self) -> Evaluator:
        return EVALUATORS.build(dict(self.config))

    @property
    def primary(self) -> str:
        names = list(self.runner.networks())
        if self.network is not None and self.network not in names:
            raise ValueError(f"val_cfg.network={self.network!r} is not evaluated here; networks: {', '.join(names)}")
        return self.network or names[0]

    def measure(self) -> dict:
        """{network: {name of a value: number or list of numbers}}, all processes together.

        Raises:
            Diverged: in validation, logits of a network are infinite or no numbers: its weights have exploded.
        """
        runner, networks = self.runner, self.runner.networks()
        evaluators = {name: self.make_evaluator() for name in self.names or networks}
        training = runner.model.training
        runner.model.eval()
        with runner.autocast():  # one for all batches: weights are cast once
            values, wrong = evaluate(unwrap(runner.model), networks, self.dataloader, evaluators, self.limit)
        runner.model.train(training)
        self.refuse_explosions(wrong, list(evaluators))
        return values

    def run(self) -> dict:
        """:meth:`measure` between the hooks of validation or test, with a log line."""
        runner, primary = self.runner, self.primary
        runner.call_hook(f"before_{self.mode}_epoch")
        networks = self.measure()
        values = {name: scalars(values) for name, values in networks.items()}
        logged = dict(values[primary])
        if len(networks) > 1:
            logged |= {f"{name}/{k}": v for name, own in values.items() for k, v in own.items()}
        for name, value in logged.items():
            runner.message_hub.update_scalar(f"{self.mode}/{name}", value)
        runner.call_hook(f"after_{self.mode}_epoch", metrics=logged)
        return networks

    def refuse_explosions(self, wrong: torch.Tensor, names: list[str]) -> None:
        """Raise Diverged (outside of validation: warn) where logits of a network were infinite or no numbers."""
        if self.runner.world_size > 1:
            dist.all_reduce(wrong)
        for name, batches in zip(names, wrong.tolist(), strict=True):
            if batches and self.mode == "val":
                raise Diverged(f"network {name!r} gives logits that are not finite")
            if batches:
                self.runner.logger.warning(f"network {name!r} gives logits that are not finite; they count as wrong")


def scalars(values: dict) -> dict[str, float]:
    """Those of an evaluation's values that are numbers, without how many images there were."""
    return {name: float(v) for name, v in values.items() if isinstance(v, (int, float)) and name != "count"}
