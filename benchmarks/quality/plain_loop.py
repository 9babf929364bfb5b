#!/usr/bin/env python
"""A hand-written CIFAR-100 training loop that shares nothing with openmix but the network's definition.

Own reading of the files, own crop, flip and MixUp (numpy), own schedule and evaluation. It is what the accuracies of
the library are compared with: see against_plain_loop.py.
"""
import argparse
import json
import math
import pickle
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from openmix.models import build_net

MEAN, STD = np.array([0.4914, 0.4822, 0.4465]), np.array([0.2023, 0.1994, 0.2010])


def read(root, split):
    with open(Path(root) / "cifar-100-python" / split, "rb") as file:
        batch = pickle.load(file, encoding="latin1")
    return batch["data"].reshape(-1, 3, 32, 32), np.array(batch["fine_labels"])


def normalised(images):
    return torch.from_numpy(((images / 255.0 - MEAN[:, None, None]) / STD[:, None, None]).astype(np.float32))


def augmented(images, rng):
    out = np.empty_like(images)
    padded = np.pad(images, ((0, 0), (0, 0), (4, 4), (4, 4)), mode="reflect")
    for i, (y, x, flip) in enumerate(zip(rng.integers(0, 9, len(images)), rng.integers(0, 9, len(images)),
                                         rng.random(len(images)) < 0.5, strict=True)):
        crop = padded[i, :, y:y + 32, x:x + 32]
        out[i] = crop[:, :, ::-1] if flip else crop
    return out


def train(root, method, seed, epochs, threads, depth):
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    (images, labels), (test_images, test_labels) = read(root, "train"), read(root, "test")
    net = build_net(dict(type="CifarResNet", depth=depth), num_classes=100).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    curve = []
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 + math.cos(math.pi * epoch / epochs))
        net.train()
        for chosen in rng.permutation(len(images)).reshape(-1, 100):
            x, y = normalised(augmented(images[chosen], rng)), torch.from_numpy(labels[chosen])
            lam, other = 1.0, torch.arange(100)
            if method == "mixup":
                lam, other = rng.beta(1.0, 1.0), torch.from_numpy(rng.permutation(100))
                x = lam * x + (1 - lam) * x[other]
            logits = net(x.contiguous(memory_format=torch.channels_last))
            loss = lam * F.cross_entropy(logits, y) + (1 - lam) * F.cross_entropy(logits, y[other])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch + 1 < epochs:
            continue
        net.eval()
        right = 0
        with torch.no_grad():
            for start in range(0, len(test_images), 500):
                logits = net(normalised(test_images[start:start + 500]))
                right += int((logits.argmax(1).numpy() == test_labels[start:start + 500]).sum())
        curve.append(100 * right / len(test_images))
        print(f"epoch {epoch + 1}: {curve[-1]:.2f}", flush=True)
    return curve


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", default="data")
    parser.add_argument("--method", choices=["vanilla", "mixup"], default="vanilla")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--depth", type=int, default=20, help="of the ResNet: 8, 14, 20 ...")
    parser.add_argument("--out", help="JSON file for the accuracies")
    args = parser.parse_args()
    curve = train(args.data_root, args.method, args.seed, args.epochs, args.threads, args.depth)
    if args.out:
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        Path(args.out).write_text(json.dumps(dict(top1=curve, method=args.method, seed=args.seed)))
