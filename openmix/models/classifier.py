"""The model that is trained: a network, a mixing method and a criterion."""
from mmengine.model import BaseModel
from torch import Tensor

from ..checks import check_classes, count_classes
from ..losses.base import as_criterion
from ..mixups.base import touch_parameters
from ..registry import LOSSES, MIXUPS
from .net import build_net


class Classifier(BaseModel):
    """Holds ``net`` (backbone and head), ``mixup`` and ``criterion``; the mixing method owns the training loss.

    Args:
        backbone, head, mixup, loss: configs (``dict(type=...)``) or modules; the defaults are
            ``LinearHead``, ``Vanilla`` and ``SoftCrossEntropy``. A loss that is no
            :class:`~openmix.losses.base.Criterion` gets class probabilities (N, classes): torch's own do.
        num_classes: sizes the head.
        data_preprocessor: mmengine's, used by ``train_step``, ``val_step`` and ``test_step`` alone.

    Raises:
        ValueError: an unknown name or key anywhere in the configs; numbers of classes that differ.
    """

    def __init__(self, backbone, num_classes=None, head=None, mixup=None, loss=None, data_preprocessor=None):
        super().__init__(data_preprocessor)
        # the small parts first: wrong values are refused before a large network is built
        mixup = MIXUPS.build_part("model.mixup", dict(type="Vanilla") if mixup is None else mixup)
        loss = dict(type="SoftCrossEntropy") if loss is None else loss
        criterion = as_criterion(LOSSES.build_part("model.loss", loss))
        self.net = build_net(backbone, head, num_classes)
        self.mixup, self.criterion = mixup, criterion
        self.num_classes = count_classes(head, num_classes)
        if self.num_classes is not None:  # unknown for some heads that are modules
            check_classes(self.num_classes, mixup=self.mixup, loss=self.criterion)
        self.mixup.attach(self.net)
        if self.num_classes is not None and hasattr(self.criterion, "check_classes"):
            self.criterion.check_classes(self.num_classes)

    def forward(self, images: Tensor, labels=None, draws: dict | None = None, progress: float = 0.0,
                mode: str = "loss", mixing: bool = True):
        """Training and evaluation in one method, so that wrappers (DDP, compile) cover both.

        Args:
            images: (N, C, H, W). labels: class indices (N,) or probabilities (N, C).
            draws: the mixing method's draws for this batch; ``None`` draws now.
            progress: completed share of the run, in [0, 1].
            mode: ``"loss"`` -> dict of scalars whose ``loss`` is to be differentiated; ``"tensor"`` -> logits;
                ``"predict"`` -> dict of logits by network name.
            mixing: ``False`` trains on clean images (the last epochs).

        Raises:
            ValueError: unknown mode; mode ``"loss"`` without labels.
        """
        if mode == "tensor":
            return self.net(images)
        if mode == "predict":
            return self.mixup.predict(self.net, images)
        if mode != "loss":
            raise ValueError(f"mode must be 'loss', 'tensor' or 'predict', got {mode!r}")
        if labels is None:
            raise ValueError("mode 'loss' needs labels")
        if not mixing:
            return dict(loss=touch_parameters(self.mixup, self.criterion(self.net(images), labels)))
        return self.mixup.loss(self.net, images, labels, self.criterion, draws, progress)

    def networks(self) -> dict:
        """The networks that are evaluated and published, by name."""
        return self.mixup.networks(self.net)

    def after_step(self, progress: float) -> None:
        """Update the mixing method (momentum teachers); call it after each optimizer step."""
        self.mixup.after_step(self.net, progress)

    def init_weights(self) -> None:
        """Nothing: constructors have set the weights, and pretrained ones must stay (mmengine's Runner calls this)."""

    def parse_losses(self, losses: dict) -> tuple[Tensor, dict]:
        """``loss`` is the loss; the other entries are for the log (mmengine would add every name with "loss" in it)."""
        return losses["loss"], losses
