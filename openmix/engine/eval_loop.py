"""The evaluation loop: counters on the device, every network a mixing method names."""
import itertools

import torch
import torch.distributed as dist
from mmengine.runner import BaseLoop

from ..registry import METRICS
from .distributed.launch import unwrap
from .step.eager import Diverged

__all__ = ["EvalLoop"]


class EvalLoop(BaseLoop):
    """Accuracy of every network the mixing method names, each image counted once for any number of processes.

    Args:
        network: name of the network whose accuracy is the run's; by default the first one.
    """

    def __init__(self, runner, dataloader, evaluator=None, network: str | None = None, limit: int | None = None):
        super().__init__(runner, runner.build_loader(dataloader, train=False))
        self.evaluator, self.network, self.limit = evaluator or dict(type="TopK"), network, limit
        smallest = min(getattr(METRICS.build(dict(self.evaluator)), "topk", (1,)))
        classes = unwrap(runner.model).num_classes
        if classes and smallest > 1 and smallest >= classes:
            raise ValueError(f"topk={smallest} of {classes} classes is always 100 %; count a smaller k, such as "
                             "topk=(1, 5)")
        self.mode = "val"

    @property
    def primary(self) -> str:
        names = list(self.runner.networks())
        if self.network is not None and self.network not in names:
            raise ValueError(f"val_cfg.network={self.network!r} is not evaluated here; networks: {', '.join(names)}")
        return self.network or names[0]

    @torch.no_grad()
    def run(self) -> dict:
        """Returns {network: {"top1": %, "top5": %, ...}}.

        Raises:
            Diverged: during training, logits of a network are infinite or no numbers: its weights have exploded.
        """
        runner, primary = self.runner, self.primary
        runner.call_hook(f"before_{self.mode}_epoch")
        training = runner.model.training
        runner.model.eval()
        model, beside = unwrap(runner.model), runner.hook_networks()
        metrics = {name: METRICS.build(dict(self.evaluator)) for name in runner.networks()}
        wrong = torch.zeros(len(metrics), device=runner.device)  # batches a network
        with runner.autocast():  # one for all batches: weights are cast once
            for images, labels in itertools.islice(self.dataloader, self.limit):
                logits = model(images, mode="predict") | {name: net(images) for name, net in beside.items()}
                for name, metric in metrics.items():
                    metric.update(logits[name], labels)
                # minus infinity is how a head masks classes
                wrong += torch.stack([~(logits[name] < float("inf")).all() for name in metrics]).to(wrong)
        found = {name: metric.compute() for name, metric in metrics.items()}
        runner.model.train(training)
        self.refuse_explosions(wrong, list(metrics))
        scalars = {k: v for k, v in found[primary].items() if k != "count"}
        if len(found) > 1:
            scalars |= {f"{name}/{k}": v for name, m in found.items() for k, v in m.items() if k != "count"}
        for name, value in scalars.items():
            runner.message_hub.update_scalar(f"{self.mode}/{name}", float(value))
        runner.call_hook(f"after_{self.mode}_epoch", metrics=scalars)
        return found

    def refuse_explosions(self, wrong: torch.Tensor, names: list[str]) -> None:
        """Raise Diverged (a test: warn) where batches of a network had logits that are infinite or no numbers."""
        if self.runner.world_size > 1:
            dist.all_reduce(wrong)
        for name, batches in zip(names, wrong.tolist(), strict=True):
            if batches and self.mode == "val":
                raise Diverged(f"network {name!r} gives logits that are not finite")
            if batches:
                self.runner.logger.warning(f"network {name!r} gives logits that are not finite; they count as wrong")
