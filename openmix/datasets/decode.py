"""Image files and Pillow's images to uint8 tensors of one size: all decoding and resizing is here.

JPEG is decoded by torchvision, everything else, and JPEG that torchvision refuses, by Pillow: OpenCV fills what a
truncated file lacks with grey, without a warning. Both give the same pixels. Resizing is torch's antialiased one on
uint8, which agrees with Pillow's within one level.
"""
import io
import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

INTERPOLATIONS = ("bilinear", "bicubic")
JPEG = b"\xff\xd8\xff"
HEADER = 1 << 17  # bytes of a JPEG that may hold its metadata
TURNED_BY_XMP = b"tiff:Orientation"  # Pillow reads it and torchvision does not
SIXTEEN_BIT = ("PNG", "PPM")  # formats that Pillow opens as 32-bit integers although they hold 16 bits
BITS, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # tags of TIFF
SWAPS_SIDES = (5, 6, 7, 8)  # EXIF orientations


def read_image(path, shrink: Callable[[int, int], int] | None = None) -> tuple[Tensor, tuple[int, int]]:
    """A file as uint8 (3, H, W) RGB, turned by its EXIF orientation, and the size (H, W) of the whole image.

    Args:
        shrink: (H, W) -> by how much at most each side may shrink; JPEG is then decoded at 1/2, 1/4 or 1/8 of its
            size, which is faster and a little softer than decoding all of it.

    Raises:
        OSError, ValueError and others of the decoders: a file that is missing, damaged or no image; see :func:`pixels`.
    """
    data = np.fromfile(path, np.uint8)
    jpeg = data[:3].tobytes() == JPEG
    if jpeg and shrink is not None and (shrunk := decode_shrunk(data, shrink)):
        return shrunk
    image = decode_whole_jpeg(data) if jpeg else decode_with_pillow(data)
    return image, tuple(image.shape[1:])


def decode_whole_jpeg(data: np.ndarray) -> Tensor:
    """JPEG as uint8 (3, H, W) RGB."""
    from torchvision.io import ImageReadMode, decode_jpeg

    if TURNED_BY_XMP in data[:HEADER].tobytes():
        return decode_with_pillow(data)
    try:
        return decode_jpeg(torch.from_numpy(data), ImageReadMode.RGB, apply_exif_orientation=True)
    except RuntimeError:  # a kind it does not know; or the file is damaged, and Pillow reports it
        return decode_with_pillow(data)


def decode_with_pillow(data: np.ndarray) -> Tensor:
    """Any image that Pillow knows, as uint8 (3, H, W) RGB."""
    from PIL import Image

    return pixels(Image.open(io.BytesIO(data.tobytes())))


def pixels(image) -> Tensor:
    """A Pillow image as uint8 (3, H, W) RGB, turned by its EXIF orientation.

    Greys become three equal channels: of 16 bits scaled by 1 / 257, floating-point ones by 255. Transparency is left
    out, as by torchvision's data sets. A palette gives its colours.

    Raises:
        ValueError: greys whose range is not known, 32-bit integers or floats outside [0, 1]; colours that Pillow cannot
            convert.
    """
    from PIL import ImageOps

    white, image = white_of(image), ImageOps.exif_transpose(image)
    if image.mode[0] in "IF":
        grey = scaled_grey(np.asarray(image), image.mode, white)
        return torch.from_numpy(grey).expand(3, *grey.shape).contiguous()
    if image.mode == "La":  # premultiplied, which Pillow does not convert at once
        image = image.convert("LA")
    if image.mode == "RGBa":
        image = image.convert("RGBA")
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def white_of(image) -> int | None:
    """The value that is white in a Pillow image of integer greys with more than 8 bits; None where it is not known."""
    tags = getattr(image, "tag_v2", {})  # of a TIFF file
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        return None
    if image.mode.startswith("I;16"):
        return 4095 if tags.get(BITS) == (12,) else 65535
    return 65535 if image.mode == "I" and image.format in SIXTEEN_BIT else None


def scaled_grey(values: np.ndarray, mode: str, white: int | None) -> np.ndarray:
    """Greys (H, W) of more than 8 bits as uint8. Raises ValueError where their range is not known."""
    if white is not None:
        return ((values.astype(np.int64) * 255 + white // 2) // white).clip(0, 255).astype(np.uint8)
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    if mode == "F" and low >= 0 and high <= 1:  # (NaN is neither)
        return np.rint(values * 255).astype(np.uint8)
    kind = "floating-point numbers outside [0, 1]" if mode == "F" else f"integers of mode {mode}"
    raise ValueError(f"its greys are {kind}, from {low:.6g} to {high:.6g}, and it is not known which of them is white; "
                     "store it with 8 or 16 bits a pixel")


def decode_shrunk(data: np.ndarray, shrink: Callable[[int, int], int]) -> tuple[Tensor, tuple[int, int]] | None:
    """JPEG at a reduced size, see :func:`read_image`; None where the whole is wanted."""
    from PIL import Image

    image = Image.open(io.BytesIO(data.tobytes()))
    width, height = image.size[::-1] if image.getexif().get(0x0112) in SWAPS_SIDES else image.size
    factor = shrink(height, width)
    if factor < 2:
        return None
    image.draft("RGB", (image.width // factor, image.height // factor))
    return pixels(image), (height, width)


def resized(image: Tensor, height: int, width: int, interpolation: str) -> Tensor:
    """uint8 (3, H, W) as (3, height, width), antialiased."""
    if tuple(image.shape[1:]) == (height, width):
        return image
    return F.interpolate(image[None], (height, width), mode=interpolation, antialias=True)[0]


def centre(path, size: int, resize: int, interpolation: str, draft: bool = False) -> Tensor:
    """The view of evaluation, uint8 (3, size, size): the shorter side becomes ``resize``, then a centre crop.

    Sizes and positions are those of torchvision's ``Resize(resize)`` and ``CenterCrop(size)``.
    """
    image, whole = read_image(path, (lambda h, w: min(h, w) // resize) if draft else None)
    return centre_of(image, size, resize, interpolation, whole)


def centre_of(image: Tensor, size: int, resize: int, interpolation: str, whole=None) -> Tensor:
    """:func:`centre` of pixels (3, H, W); ``whole`` is the (H, W) of a file that was decoded at a reduced size."""
    height, width = whole or image.shape[1:]
    short = min(height, width)
    height, width = resize * height // short, resize * width // short  # the longer side is cut off to whole pixels
    image = resized(image, height, width, interpolation)
    top, left = round((height - size) / 2), round((width - size) / 2)
    return image[:, top:top + size, left:left + size]


def random_crop(path, candidates, ratio, size: int, interpolation: str, draft: bool = False) -> Tensor:
    """A view of training, uint8 (3, size, size): the box that :func:`crop_box` finds among ``candidates``."""
    def box(height, width):
        return crop_box(candidates, height, width, ratio)

    image, (height, width) = read_image(path, (lambda h, w: min(box(h, w)[2:]) // size) if draft else None)
    top, left, tall, wide = box(height, width)
    if (down := image.shape[1] / height) != 1:  # decoded at a reduced size
        right, bottom = image.shape[2] / width * (left + wide), down * (top + tall)
        top, left = int(down * top), int(image.shape[2] / width * left)
        tall, wide = max(1, round(bottom) - top), max(1, round(right) - left)
    return resized(image[:, top:top + tall, left:left + wide], size, size, interpolation)


def crop_box(candidates, height: int, width: int, ratio) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a random resized crop, as torchvision defines it.

    Args:
        candidates: numbers (share of the area, width / height, row and column of the box) of each try;
            row and column are in [0, 1). The first box that fits counts; if none does, the largest centred one of a
            permitted aspect.
        height, width: of the image. ratio: (lowest, highest) width / height.

    The crop is that of Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, arXiv 1409.4842.
    """
    for share, aspect, y, x in candidates:
        wide = round(math.sqrt(height * width * share * aspect))
        tall = round(math.sqrt(height * width * share / aspect))
        if 0 < wide <= width and 0 < tall <= height:
            return int(y * (height - tall + 1)), int(x * (width - wide + 1)), tall, wide
    tall, wide = height, width
    if width / height < ratio[0]:
        tall = max(1, round(width / ratio[0]))
    elif width / height > ratio[1]:
        wide = max(1, round(height * ratio[1]))
    return (height - tall) // 2, (width - wide) // 2, tall, wide
