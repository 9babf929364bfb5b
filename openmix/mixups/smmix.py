"""SMMix: Chen et al., "SMMix: Self-Motivated Image Mixing for Vision Transformers", ICCV 2023, arXiv 2212.12977."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import attention, functional, probes, sampling
from ..checks import number, pair
from ..target import as_target
from .base import MixMethod


def window_sums(maps: Tensor, side: Tensor) -> Tensor:
    """Sums of ``maps`` (N, rows, columns) over windows of ``side`` (1,) whose first cell is each: the same shape.

    NaN where a window does not fit.
    """
    integral = F.pad(maps, (1, 0, 1, 0)).cumsum(1).cumsum(2)
    low, high = [], []
    for cells in maps.shape[1:]:
        low.append(torch.arange(cells, device=maps.device))
        high.append((low[-1] + side).clamp(max=cells))
    part = [integral.index_select(1, r).index_select(2, c) for r in (low[0], high[0]) for c in (low[1], high[1])]
    fits = (low[0] + side <= maps.shape[1])[:, None] & (low[1] + side <= maps.shape[2])
    return torch.where(fits, part[3] - part[2] - part[1] + part[0], torch.nan)


def corner(sums: Tensor, highest: bool) -> Tensor:
    """First row and column (N, 2) of the window with the highest or the lowest sum."""
    worst = -torch.inf if highest else torch.inf
    flat = sums.nan_to_num(worst).flatten(1)
    place = flat.argmax(1) if highest else flat.argmin(1)
    return torch.stack([place // sums.shape[2], place % sums.shape[2]], 1)


class SMMix(MixMethod):
    """The window of the partner that the network looks at most covers the window of the image it looks at least.

    A pass in eval mode on the clean batch gives logits and the attention of the class token. A square of random side,
    one a batch, moves from the partner to the image; ``lam`` is the area kept. :meth:`loss` adds two terms: a linear
    head of its own classifies the mean token of each part, and the logits of the mixture follow the mixed clean ones.

    The official recipe mixes half of the batches by MixUp instead::

        dict(type="RandomChoice", methods=[dict(type="SMMix"), dict(type="MixUp", alpha=0.8)])

    Args:
        sides: lowest and highest side of the square, as shares of the side of the grid of patches.
        fine_weight: weight of the loss of the parts. consistency_weight: weight of KL(mixed clean logits, mixture).
        layer: name of the layer whose tokens (N, L, C) are averaged; by default the last normalisation.
        prob, pairing, mix_rate, num_classes: as of every method.

    Raises:
        ValueError: a parameter out of its range; in :meth:`attach`, a network without class token or plain attention.
    """

    needs = "attention"
    blends = False  # the square has moved before it is pasted
    paper = 'Chen et al., "SMMix: Self-Motivated Image Mixing for Vision Transformers", arXiv 2212.12977'
    year = 2023
    venue = "ICCV"
    passes = "one forward pass in eval mode"
    defaults = {"ImageNet": dict(sides=(0.25, 0.75))}

    def __init__(self, *, sides: tuple[float, float] = (0.25, 0.75), fine_weight: float = 1.0,
                 consistency_weight: float = 1.0, layer: str | None = None, prob: float = 1.0, pairing: str = "roll",
                 mix_rate: float = 1.0, num_classes: int | None = None):
        super().__init__(prob=prob, pairing=pairing, mix_rate=mix_rate, num_classes=num_classes)
        self.sides = pair("sides", sides, 0, 1)
        self.fine_weight = number("fine_weight", fine_weight)
        self.consistency_weight = number("consistency_weight", consistency_weight)
        self.layer, self.watched, self.token_head = layer, "", None

    def attach(self, net):
        if self.token_head is not None:  # once: the optimizer holds its parameters
            return
        self.watched = attention.last_attention(net)
        norms = [name for name, m in probes.unwrap(net)[1].named_modules() if isinstance(m, nn.LayerNorm | nn.RMSNorm)]
        if self.layer is None and not norms:
            raise ValueError(f"{type(net).__name__} has no LayerNorm whose tokens could be averaged; name the layer")
        self.layer = norms[-1] if self.layer is None else self.layer
        probes.plant(net, self.layer)
        classifier = probes.find_classifier(net)[1]
        self.token_head = nn.Linear(classifier.in_features, classifier.out_features, device=classifier.weight.device,
                                    dtype=classifier.weight.dtype)

    def draw(self, n, size, generator=None, steps=(), device=None):
        draws = dict(side=sampling.uniform(0, 1, (*steps, 1), generator, device))
        return {**draws, **self.draw_common(n, generator, steps, device)}

    def check_images(self, images):
        self.check_maps(images)

    # -- mix -------------------------------------------------------------------------------------------------------

    def clean(self, net, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the clean batch and the class token's attention (N, rows, columns), in eval mode."""
        logits = []
        with torch.no_grad(), probes.evaluating(net):
            attended = attention.class_attention(net, self.watched, lambda: logits.append(net(images)),
                                                 images.shape[2:])
        return logits[0].float(), attended

    def mix(self, images: Tensor, attended: Tensor, draws: dict) -> tuple[Tensor, Tensor, Tensor]:
        """Mixed images, and the cells (N, rows, columns) and pixels (N, 1, H, W) that stay, bool."""
        grid, size = attended.shape[1:], images.shape[2:]
        low, high = (max(1, int(share * min(grid))) for share in self.sides)
        side = low + (draws["side"] * (max(high, low) - low + 1)).long()
        sums = window_sums(attended, side)
        target, source = corner(sums, highest=False), self.partner(corner(sums, highest=True), draws)
        inside, moved = [], []
        for k in (0, 1):
            pixel = torch.arange(size[k], device=images.device)
            cell = torch.arange(grid[k], device=images.device) - target[:, k, None]
            inside.append((cell >= 0) & (cell < side))
            shift = (source - target)[:, k, None] * size[k] // grid[k]
            moved.append((pixel + shift).clamp(0, size[k] - 1))
        kept = self.keep_unmixed(~(inside[0][:, :, None] & inside[1][:, None]), draws)
        rows, columns = (torch.arange(size[k], device=images.device) * grid[k] // size[k] for k in (0, 1))
        mask = kept[:, rows[:, None], columns][:, None]
        place = (moved[0][:, :, None] * size[1] + moved[1][:, None]).flatten(1)[:, None].expand(-1, images.shape[1], -1)
        shown = self.partner(images, draws).flatten(2).gather(2, place).view(images.shape)
        return functional.blend(images, shown, mask, reuse=True), kept, mask

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        draws = self.prepare_loss(images, labels, draws)
        clean, attended = self.clean(net, images)
        mixed, kept, mask = self.mix(images, attended, draws)
        lam, logits = mask.float().mean((1, 2, 3)), []
        tokens = probes.watch(net, self.layer, lambda: logits.append(net(mixed)))
        own, pasted = self.parts(tokens, kept, draws)
        fine = (criterion(own, self.maybe_dense(as_target(labels)))
                + criterion(pasted, self.target(labels, self.keep_unmixed(torch.zeros_like(lam), draws), draws))) / 2
        soft = torch.lerp(self.partner(clean, draws), clean, lam[:, None]).softmax(1)
        consistency = F.kl_div(logits[0].float().log_softmax(1), soft, reduction="batchmean")
        whole = criterion(logits[0], self.target(labels, lam, draws))
        return dict(loss=whole + self.fine_weight * fine + self.consistency_weight * consistency, whole=whole.detach(),
                    fine=fine.detach(), consistency=consistency.detach())

    def parts(self, tokens: Tensor, kept: Tensor, draws: dict) -> tuple[Tensor, Tensor]:
        """Predictions (N, C) from the mean of the tokens that stay, and of those pasted; all where none are."""
        if tokens.ndim != 3:
            raise ValueError(f"SMMix averages tokens (N, L, C), but layer {self.layer!r} puts out "
                             f"{tuple(tokens.shape)}; name another layer")
        patches, kept = tokens[:, tokens.shape[1] - kept[0].numel():], kept.flatten(1)
        predictions = []
        for part in (kept, ~kept):
            part = self.keep_unmixed(part, draws).to(patches.dtype)[..., None]
            predictions.append(self.token_head((patches * part).sum(1) / part.sum(1).clamp(min=1)))
        return predictions[0], predictions[1]

    def details(self, images, draws, net=None, labels=None):
        """Without ``net`` there is no attention, and windows are those of an even map of 14 x 14 cells."""
        draws, n = self.prepare(images, draws), len(images)
        attended = torch.ones(n, 14, 14, device=images.device) if net is None else self.clean(net, images)[1]
        mask = self.mix(images, attended, draws)[2].float()
        return dict(lam=mask.mean((1, 2, 3)), mask=mask, partner=self.partner_index(n, draws, images.device))
