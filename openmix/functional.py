"""Pure tensor maths: no randomness, no state, any device. Images are (N, C, H, W), H before W."""
import torch
import torch.nn.functional as F
from torch import Tensor


def boxes(lam: Tensor, centre: Tensor, size) -> Tensor:
    """CutMix boxes of area share ``1 - lam`` around ``centre``, clipped to the image.

    Args:
        lam: (...,) share kept of the first image. centre: (..., 2) row and column. size: (H, W).

    Returns:
        (..., 4) int64: top, bottom, left, right (ends excluded). Sides are floor(side * sqrt(1 - lam)), an odd side
        loses one pixel, as in the paper's code.
    """
    return boxes_around((1 - lam).clamp(min=0).sqrt(), centre, size)


def boxes_around(share: Tensor, centre: Tensor, size, least: int = 0) -> Tensor:
    """Boxes with ``share`` of the image's sides around ``centre``, clipped to the image.

    Args:
        share: (...,) in [0, 1]. centre: (..., 2) row and column. size: (H, W). least: pixels left of a side at least.

    Returns:
        (..., 4) int64 as of :func:`boxes`.
    """
    edges = []
    for middle, side in zip(centre.unbind(-1), size, strict=True):
        half = (share * (side / 2)).long()  # floor(floor(a) / 2) = floor(a / 2)
        low, high = (middle - half).clamp(min=0), (middle + half).clamp(max=side)
        edges += [low, torch.maximum(high, low + least) if least else high]
    return torch.stack(edges, -1)


def box_mask(box: Tensor, size) -> Tensor:
    """True outside the boxes (K, 4), i.e. what is kept of the first image: (K, 1, H, W) bool."""
    height, width = size
    low, high = box.reshape(-1, 2, 2, 1).unbind(2)  # (K, 2 axes, 1)
    position = torch.arange(max(height, width), device=box.device)
    rows, columns = ((position < low) | (position >= high)).unbind(1)
    return rows[:, None, :height, None] | columns[:, None, None, :width]


def box_area(box: Tensor) -> Tensor:
    """Pixels inside boxes (..., 4): (...,) int64."""
    top, bottom, left, right = box.unbind(-1)
    return (bottom - top) * (right - left)


def blend(images: Tensor, partner: Tensor, mask: Tensor, reuse: bool = False) -> Tensor:
    """``mask * images + (1 - mask) * partner``; a bool mask moves pixels and works for integer images too.

    Finite float images go through ``lerp`` for bool masks as well: exact at 0 and 1, and much faster than ``where``
    on CPU. ``reuse`` lets the result take the memory of ``partner``.
    """
    if not images.is_floating_point():
        return torch.where(mask, images, partner)
    mask = mask.to(images.dtype)
    if reuse and not mask.requires_grad:  # the gradient of a learned mask needs partner as it was
        return partner.lerp_(images, mask)
    return torch.lerp(partner, images, mask)


def resize_into(images: Tensor, box: Tensor, mode: str = "nearest") -> Tensor:
    """Each whole image resized into its box; what lies outside the box repeats the border and is meant to be masked.

    Args:
        images: (N, C, H, W). box: (N or 1, 4). mode: ``"nearest"`` or ``"bilinear"``, sampled as ``F.interpolate``
            does (``align_corners=False``, no antialiasing).
    """
    wide = images if images.dtype == torch.float64 else images.float()  # half precision cannot name the pixels
    top, bottom, left, right = box[..., None].unbind(-2)
    height, width = images.shape[2:]
    places = []  # where to read, in [-1, 1] from edge to edge
    for side, low, high in ((height, top, bottom), (width, left, right)):
        pixel, length = torch.arange(side, device=box.device) - low, (high - low).clamp(min=1)
        at = pixel * side // length + 0.5 if mode == "nearest" else (pixel + 0.5) * side / length
        places.append(at.to(wide.dtype) * (2 / side) - 1)
    rows, columns = places
    grid = torch.stack(torch.broadcast_tensors(columns[:, None, :], rows[:, :, None]), -1)
    grid = grid.expand(len(images), -1, -1, -1)
    return F.grid_sample(wide, grid, mode, padding_mode="border", align_corners=False).to(images.dtype)


def ranks_to_mask(score: Tensor, count: Tensor, soft: Tensor | None = None) -> Tensor:
    """1 at the ``count`` highest scores of each row, exactly as many also where scores tie.

    Args:
        score: (K, L). count: (K,) int64. soft: (K,) int64, half the width in ranks of a linear ramp around the
            threshold; the sum stays ``count`` where ``soft`` exceeds neither ``count`` nor ``L - count``.

    Returns:
        (K, L) bool, or float32 with ``soft``.
    """
    rank = torch.arange(score.shape[1], device=score.device)
    value = rank < count[:, None]
    if soft is not None:
        value = ((count[:, None] - rank - 0.5) / (2 * soft[:, None]).clamp(min=1) + 0.5).clamp(0, 1)
    order = score.argsort(1, descending=True)
    return value.new_empty(order.shape).scatter_(1, order, value)


def box_mean(maps: Tensor, radius: int) -> Tensor:
    """Mean over (2 radius + 1)^2 windows, clipped to the map: (N, H, W) -> (N, H, W)."""
    return _filter(maps, lambda distance: (distance <= radius).to(maps.dtype))


def gaussian_blur(maps: Tensor, sigma: float) -> Tensor:
    """Gaussian mean over what of its surroundings lies in the map: (N, H, W) -> (N, H, W); ``sigma`` in pixels."""
    return _filter(maps, lambda distance: torch.exp(distance.to(maps.dtype).square() / (-2 * sigma**2)))


def _filter(maps: Tensor, weights) -> Tensor:
    """A separable mean as two matrix products: exact at the border, and faster than integral images up to 64 px."""
    means = {}
    for side in set(maps.shape[-2:]):
        pixel = torch.arange(side, device=maps.device)
        weight = weights((pixel[:, None] - pixel).abs())
        means[side] = F.threshold(weight / weight.sum(1, keepdim=True), 1e-12, 0)  # denormals are very slow on CPU
    height, width = maps.shape[-2:]
    with torch.autocast(maps.device.type, enabled=False):  # half precision would move maxima
        return means[height] @ (maps @ means[width].T)


def spectral_residual(grey: Tensor) -> Tensor:
    """Saliency of Hou & Zhang, "Saliency Detection: A Spectral Residual Approach", CVPR 2007: (N, H, W) -> (N, H, W).

    What stands out of the smooth log-amplitude spectrum, back in the image with the original phase, squared, blurred.
    The constant part of the image is left out, so that brightness does not count.
    """
    spectrum = torch.fft.fft2(grey - grey.mean((1, 2), keepdim=True))
    known = torch.ones_like(grey[:1])
    known[:, 0, 0] = 0
    log_amplitude = (spectrum.abs() + 1e-6).log() * known
    around = F.pad(torch.cat([log_amplitude, known])[:, None], (1, 1, 1, 1), mode="circular")
    mean = F.avg_pool2d(around, 3, 1)[:, 0]  # 3 x 3 frequencies, those next to the constant part have 8
    residual = torch.fft.ifft2(spectrum * (-mean[:-1] / mean[-1:]).exp())  # exp(log_amplitude - its mean + i phase)
    return gaussian_blur(residual.real.square(), 2.5 / 64 * max(grey.shape[1:]))


def centre_surround(grey: Tensor, radii=(12, 24, 28, 48, 56, 112), balanced: bool = False) -> Tensor:
    """Saliency of Montabone & Soto, Image and Vision Computing 28 (2010): (N, H, W) -> (N, H, W).

    Contrast of the slightly blurred image to the mean of square surroundings, summed over several radii (those of
    OpenCV's fine-grained saliency). ``balanced`` scales what is brighter (on) and what is darker (off) to equal maxima
    before they are added, as OpenCV does; faint shadows then count as much as a bright object.
    """
    grey = gaussian_blur(grey, 1.0)
    near = [radius for radius in radii if radius < max(grey.shape[1:]) - 1]  # windows of the others are the image
    contrasts = [grey - box_mean(grey, radius) for radius in near]
    contrasts += [(grey - grey.mean((1, 2), keepdim=True)) * (len(radii) - len(near))]
    if not balanced:
        return sum(contrast.abs() for contrast in contrasts)
    on = sum(contrast.clamp(min=0) for contrast in contrasts)
    off = on - sum(contrasts)
    return sum(part / part.amax((1, 2), keepdim=True).clamp(min=1e-12) for part in (on, off))
