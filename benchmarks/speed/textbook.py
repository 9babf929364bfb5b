"""Mixing methods the way their papers' repositories write them: numbers drawn by numpy on the host, ``randperm``.

What ``mixing.py`` measures openmix against. One ``lam``, mask or box a batch, as published; the caller's batch is not
written to, like in openmix. Each takes images (N, C, H, W) and labels (N,), and returns the mixed images and what the
loss ``lam * ce(a) + (1 - lam) * ce(b)`` needs: (a, b, lam).
"""
import numpy as np
import torch
import torch.nn.functional as F

try:
    from cv2 import saliency as opencv  # in opencv-contrib-python
except ImportError:
    opencv = None


def pairs(images, labels, lam, index):
    return images, (labels, labels[index], lam)


def cut_box(height, width, lam, row=None, column=None):
    """CutMix's box around a random, or the given, pixel: top, bottom, left, right."""
    ratio = np.sqrt(1 - lam)
    cut_height, cut_width = int(height * ratio), int(width * ratio)
    row = np.random.randint(height) if row is None else row
    column = np.random.randint(width) if column is None else column
    return (max(row - cut_height // 2, 0), min(row + cut_height // 2, height),
            max(column - cut_width // 2, 0), min(column + cut_width // 2, width))


def area_kept(images, box):
    top, bottom, left, right = box
    return 1 - (bottom - top) * (right - left) / (images.shape[2] * images.shape[3])


def mixup(images, labels, alpha=1.0):
    lam = np.random.beta(alpha, alpha)
    index = torch.randperm(len(images))
    return pairs(lam * images + (1 - lam) * images[index], labels, lam, index)


def cutmix(images, labels, alpha=1.0):
    index = torch.randperm(len(images))
    box = top, bottom, left, right = cut_box(*images.shape[2:], np.random.beta(alpha, alpha))
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images[index, :, top:bottom, left:right]
    return pairs(mixed, labels, area_kept(images, box), index)


def smoothmix(images, labels, sigma=(0.25, 0.5)):
    height, width = images.shape[2:]
    row, column = np.random.randint(height), np.random.randint(width)
    share = np.random.uniform(*sigma)
    rows, columns = np.ogrid[:height, :width]
    rows, columns = (rows - row) / (share * height), (columns - column) / (share * width)
    mask = np.exp(-0.5 * (rows**2 + columns**2))
    index = torch.randperm(len(images))
    lam, mask = mask.mean(), torch.from_numpy(mask.astype(np.float32))
    return pairs(images * mask + images[index] * (1 - mask), labels, lam, index)


def gridmixup(images, labels, alpha=1.0, holes=(2, 6), area=(0.5, 1.0), aspect=(0.5, 2.0)):
    height, width = images.shape[2:]
    lam, ratio = np.random.beta(alpha, alpha), np.random.uniform(*aspect)
    cut_width = int(np.sqrt(int(height * width * np.random.uniform(*area)) / ratio))
    cut_height = int(cut_width * ratio)
    top, left = int((height - cut_height) * np.random.rand()), int((width - cut_width) * np.random.rand())
    patch = max(int(np.ceil(cut_width / np.random.randint(holes[0], holes[1] + 1))), 2)
    hole = min(max(int(patch * np.sqrt(1 - lam)), 1), patch - 1)
    mask = np.ones((height, width), np.float32)
    for row in range(top, top + cut_height, patch):
        for column in range(left, left + cut_width, patch):
            mask[max(row, 0):min(row + hole, top + cut_height), max(column, 0):min(column + hole, left + cut_width)] = 0
    index = torch.randperm(len(images))
    lam, mask = mask.mean(), torch.from_numpy(mask)
    return pairs(images * mask + images[index] * (1 - mask), labels, lam, index)


def gridmix(images, labels, alpha=1.0, grid=4):
    height, width = images.shape[2:]
    cells = (np.random.rand(grid, grid) < np.random.beta(alpha, alpha)).astype(np.float32)
    mask = np.kron(cells, np.ones((height // grid, width // grid), np.float32))
    index = torch.randperm(len(images))
    lam, mask = mask.mean(), torch.from_numpy(mask)
    return pairs(images * mask + images[index] * (1 - mask), labels, lam, index)


def resizemix(images, labels, scope=(0.1, 0.8)):
    """As published in the tables: one place a batch, the box cut off at the border."""
    height, width = images.shape[2:]
    tau = np.random.uniform(*scope)
    box = top, bottom, left, right = cut_box(height, width, 1 - tau**2)
    if bottom == top or right == left:
        box = top, bottom, left, right = top, top + 1, left, left + 1
    index = torch.randperm(len(images))
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = F.interpolate(images[index], (bottom - top, right - left))
    return pairs(mixed, labels, area_kept(images, box), index)


def resizemix_each(images, labels, scope=(0.1, 0.8)):
    """As in the authors' code: one size a batch, and a place for each image."""
    height, width = images.shape[2:]
    small = F.interpolate(images, scale_factor=np.random.uniform(*scope))
    tall, wide = small.shape[2:]
    index = torch.randperm(len(images))
    mixed = images.clone()
    for i, other in enumerate(index.tolist()):
        top, left = (min(max(np.random.randint(side) - length // 2, 0), side - length)
                     for side, length in ((height, tall), (width, wide)))
        mixed[i, :, top:top + tall, left:left + wide] = small[other]
    return pairs(mixed, labels, 1 - tall * wide / (height * width), index)


def fmix(images, labels, alpha=1.0, decay=3.0):
    height, width = images.shape[2:]
    lam = np.random.beta(alpha, alpha)
    frequency = np.sqrt(np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width) ** 2)
    scale = 1 / np.maximum(frequency, 1 / max(height, width)) ** decay
    real, imaginary = np.random.randn(2, *frequency.shape) * scale
    field = np.fft.irfft2(real + 1j * imaginary, (height, width)).ravel()
    count = lam * field.size
    count = int(np.ceil(count) if np.random.rand() > 0.5 else np.floor(count))
    mask = np.zeros(field.size, np.float32)
    mask[field.argsort()[::-1][:count]] = 1
    index = torch.randperm(len(images))
    mask = torch.from_numpy(mask.reshape(height, width))
    return pairs(mask * images + (1 - mask) * images[index], labels, lam, index)


def fine_grained(image):
    """Saliency (H, W) of one image (C, H, W): OpenCV's detector, or the same sums by numpy where it is missing."""
    pixels = image.permute(1, 2, 0).numpy()
    low, high = pixels.min(), pixels.max()
    pixels = ((pixels - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
    if opencv is not None:
        return opencv.StaticSaliencyFineGrained_create().computeSaliency(pixels)[1]
    grey = pixels.mean(2)
    height, width = grey.shape
    total = np.zeros((height + 1, width + 1))
    total[1:, 1:] = grey.cumsum(0).cumsum(1)
    on, off = np.zeros_like(grey), np.zeros_like(grey)
    for radius in (12, 24, 28, 48, 56, 112):
        top, bottom = (np.clip(np.arange(height) + shift, 0, height) for shift in (-radius, radius + 1))
        left, right = (np.clip(np.arange(width) + shift, 0, width) for shift in (-radius, radius + 1))
        strip = total[bottom] - total[top]
        mean = (strip[:, right] - strip[:, left]) / ((bottom - top)[:, None] * (right - left))
        on += np.maximum(grey - mean, 0)
        off += np.maximum(mean - grey, 0)
    return on / max(on.max(), 1e-12) + off / max(off.max(), 1e-12)


def saliencymix(images, labels, alpha=1.0):
    """As published: the map of the first image's partner gives the box for the whole batch."""
    lam = np.random.beta(alpha, alpha)
    index = torch.randperm(len(images))
    saliency = fine_grained(images[index[0]])
    peak = np.unravel_index(saliency.argmax(), saliency.shape)
    box = top, bottom, left, right = cut_box(*images.shape[2:], lam, *peak)
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images[index, :, top:bottom, left:right]
    return pairs(mixed, labels, area_kept(images, box), index)


def saliencymix_each(images, labels, alpha=1.0):
    """As in the paper: a map, and so a box, for each image."""
    lam = np.random.beta(alpha, alpha)
    index = torch.randperm(len(images))
    mixed, shares = images.clone(), np.empty(len(images), np.float32)
    for i, other in enumerate(index.tolist()):
        saliency = fine_grained(images[other])
        peak = np.unravel_index(saliency.argmax(), saliency.shape)
        box = top, bottom, left, right = cut_box(*images.shape[2:], lam, *peak)
        mixed[i, :, top:bottom, left:right] = images[other, :, top:bottom, left:right]
        shares[i] = area_kept(images, box)
    return pairs(mixed, labels, torch.from_numpy(shares), index)


def random_choice(images, labels):
    """CutMix or MixUp by a throw of a coin."""
    return (mixup if np.random.rand() < 0.5 else cutmix)(images, labels)
