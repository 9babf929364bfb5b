"""Augmentation of whole batches on their device, as pure functions of images and draws."""
import torch
from torch import Tensor

from ..checks import is_whole
from .options import count_of_numbers

MODES = ("reflect", "zeros")


def check_padding(padding: int, mode: str, size) -> None:
    """Raise ValueError for a border that images of ``size`` (H, W) cannot have."""
    if mode not in MODES:
        raise ValueError(f"mode must be one of {MODES}, got {mode!r}")
    limit = min(size) - 1 if mode == "reflect" else 127
    if not is_whole(padding, 0) or padding > limit:
        raise ValueError(f"padding must be a whole number in [0, {limit}] for images of {tuple(size)} with mode "
                         f"{mode!r}, got {padding!r}")


def crop_flip(images: Tensor, offsets: Tensor, flip: Tensor, padding: int = 4, mode: str = "reflect",
              size: int | None = None) -> Tensor:
    """Pad, crop, flip: in one gather, without the padded copy.

    Args:
        images: (B, C, H, W), any dtype. offsets: (B, 2) whole numbers, row and column of the crop in the padded image:
            in [0, 2 * padding], or up to H - ``size`` more. flip: (B,) bool, mirror left and right after the crop.
        mode: what the border holds: ``"reflect"`` (no repeated edge pixel) or ``"zeros"``.
        size: side of the crop; by default it is as large as the image.

    Returns:
        (B, C, H, W) or (B, C, size, size), equal bit by bit to ``F.pad``, slicing and ``flip`` of each image.
    """
    b, c, height, width = images.shape
    y = offsets[:, :1] + torch.arange(-padding, (size or height) - padding, device=images.device)
    x = offsets[:, 1:] + torch.arange(-padding, (size or width) - padding, device=images.device)
    x = torch.where(flip[:, None], x.flip(1), x)
    if mode == "reflect":  # ... 2 1 0 1 2 ... H-2 H-1 H-2 ...
        y, x = height - 1 - (height - 1 - y.abs()).abs(), width - 1 - (width - 1 - x.abs()).abs()
        return _pick(images, y, x)
    inside_y, inside_x = (y >= 0) & (y < height), (x >= 0) & (x < width)
    picked = _pick(images, y.clamp(0, height - 1), x.clamp(0, width - 1))
    return picked * (inside_y[:, None, :, None] & inside_x[:, None, None, :]).to(picked.dtype)


def _pick(images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """images[b, :, y[b], x[b]] for rows (B, h) and columns (B, w)."""
    b, c, height, width = images.shape
    flat = (y[:, :, None] * width + x[:, None, :]).view(b, 1, -1).expand(b, c, -1)
    return images.flatten(2).gather(2, flat).view(b, c, y.shape[1], x.shape[1])


def centre(images: Tensor, size: int) -> Tensor:
    """The (size, size) pixels in the middle of images (B, C, H, W)."""
    top, left = (round((side - size) / 2) for side in images.shape[2:])
    return images[:, :, top:top + size, left:left + size]


def mirror(images: Tensor, flip: Tensor) -> Tensor:
    """Images (B, C, H, W), those with ``flip`` (B,) bool mirrored left and right."""
    if images.is_floating_point():
        return torch.where(flip[:, None, None, None], images.flip(3), images)
    # sums of uint8 wrap around, so this is exact; it takes a quarter of the time of torch.where on a CPU
    return images + (images.flip(3) - images) * flip[:, None, None, None].to(images.dtype)


def per_channel(values, name: str, device=None, shape=(3, 1, 1)) -> Tensor | None:
    """One number a channel as float32, for :func:`normalise`; None stays None.

    Args:
        shape: of an image (C, H, W), gives (1, C, 1, 1); of a vector (D,), gives (1, D).
    """
    if values is None:
        return None
    numbers = torch.as_tensor(values, dtype=torch.float32, device=device).flatten()
    if len(numbers) != shape[0] or name == "std" and (numbers <= 0).any():
        raise ValueError(f"{name} must be {count_of_numbers(shape[0])}{' above 0' * (name == 'std')}, got {values!r}")
    return numbers.view(1, -1, *[1] * (len(shape) - 1))


def standardise(images: Tensor) -> Tensor:
    """Each image (or map, or vector) with mean 0 and standard deviation 1 over all its values, as float32.

    The deviation has N - 1 in the denominator. Constant images stay as they are.
    """
    values = images.float().flatten(1)
    mean, std = values.mean(1, keepdim=True), values.std(1, keepdim=True)
    return torch.where(std > 0, (values - mean) / std, values).view(images.shape)


def normalise(images: Tensor, mean: Tensor | None = None, std: Tensor | None = None,
              dtype: torch.dtype = torch.float32) -> Tensor:
    """(images - mean) / std in memory of its own; uint8 images are divided by 255 first. None leaves a part out.

    Equal bit by bit to torchvision's ``ToTensor`` and ``Normalize``; computed in float32, handed out as ``dtype``.

    Args:
        images: (B, C, H, W) or (B, D), uint8 or float. mean, std: as of :func:`per_channel`.
    """
    values = images.to(torch.float32, copy=True)
    if images.dtype == torch.uint8:
        values.div_(255)
    if mean is not None:
        values.sub_(mean)
    if std is not None:
        values.div_(std)
    return values.to(dtype)
