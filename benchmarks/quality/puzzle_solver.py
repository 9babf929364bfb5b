#!/usr/bin/env python
"""How close PuzzleMix's batched solver comes to the exact minimum cut on real CIFAR-100 images, and how fast it is.

    python benchmarks/quality/puzzle_solver.py --data-root data

Costs are those of training in the table's configs: test images, the next image as partner, lam uniform (alpha = 1),
and three saliencies: gradients of a small network trained for ``--steps`` steps on other images, gradients of a random
ResNet-18, and plain image gradients. The gap is (energy - optimum) / optimum; the optimum is a minimum cut of each
image by itself (networkx). "kept" is the mean of the masks. Times are of one thread for the whole batch, the least
of 5 rounds: our solver, the minimum cuts, the whole mixing call, and a textbook transport that builds its cost
tables in Python at each call, looks at the whole matrix each time round and moves patches by a matrix product.
"""
import argparse
import time

import torch
from mincut import energies, optimum
from torch.nn import functional as F

from openmix.datasets import CIFAR100
from openmix.mixups import PuzzleMix
from openmix.models.net import build_net
from openmix.solvers import gridcut
from openmix.solvers.transport import move, transport_plan

ROUNDS = 5


def normalised(data, index):
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (data.mean, data.std))
    return (data.images[index].float() / 255 - mean) / std, data.labels[index]


def trained_net(data, images: int, steps: int):
    """ResNet-20 after some steps of SGD on what follows the first ``images``; prints its accuracy on those."""
    net = build_net(dict(type="CifarResNet", depth=20), num_classes=100)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, 0.9, weight_decay=5e-4)
    for _ in range(steps):
        x, y = normalised(data, torch.randint(images, len(data), (64,)))
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        x, y = normalised(data, torch.arange(images))
        print(f"trained: ResNet-20, {steps} steps of 64 images, top-1 {(net(x).argmax(1) == y).float().mean():.2%}")
    return net


def edges(images):
    """Magnitude of the image gradient, (N, H, W)."""
    gray = F.pad(images.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    dx, dy = gray[..., 1:-1, 2:] - gray[..., 1:-1, :-2], gray[..., 2:, 1:-1] - gray[..., :-2, 1:-1]
    return (dx.square() + dy.square()).sqrt()[:, 0]


def textbook_transport(images, saliency, visible, eps=0.8):
    n, b, _ = saliency.shape
    cells = [(i, j) for i in range(b) for j in range(b)]
    table = torch.tensor([[((i - u)**2 + (j - v)**2) / (b - 1)**2 for u, v in cells] for i, j in cells])
    cost = eps * table - saliency.reshape(n, -1, 1) * visible.reshape(n, 1, -1)
    for _ in range(b):
        wish = torch.zeros_like(cost).scatter_(2, cost.argmin(2, keepdim=True), 1)
        best = torch.where(wish > 0, cost, torch.inf).argmin(1, keepdim=True)
        plan = torch.zeros_like(cost).scatter_(1, best, 1) * wish
        cost = cost + (wish - plan)
    patch = images.shape[2] // b
    patches = F.unfold(images, patch, stride=patch)  # (N, C * p * p, L)
    return F.fold(patches @ plan, images.shape[2:], patch, stride=patch), plan


def least_ms(function):
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def compare_transport(images, saliency):
    print("\n| grid of patches | ours, ms | textbook, ms | ratio | same images |\n|---|---|---|---|---|")
    for b in (4, 8, 16):
        share = gridcut.cell_shares(saliency, b, b)
        visible = gridcut.spread((torch.rand(len(images), b // 2, b // 2) > 0.4).float(), b, b)

        def ours(share=share, visible=visible, b=b):
            source, won = transport_plan(share, visible)
            return move(images, source, b, b) * gridcut.spread(won.view(-1, b, b).float(), 32, 32)[:, None]

        fast = least_ms(ours)
        slow = least_ms(lambda share=share, visible=visible: textbook_transport(images, share, visible))
        same = torch.allclose(ours(), textbook_transport(images, share, visible)[0], atol=1e-5)
        print(f"| {b} x {b} | {fast:.1f} | {slow:.1f} | {fast / slow:.2f} | {same} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", default="data", help="holds cifar-100-python/ or its archive")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--steps", type=int, default=300, help="training steps before gradients are taken")
    parser.add_argument("--n-labels", type=int, default=3, choices=(2, 3))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    data, n = CIFAR100(args.data_root, "test"), args.images
    images, labels = normalised(data, torch.arange(n))
    method = PuzzleMix(per_sample=True, n_labels=args.n_labels, std=data.std)
    seen = images * method.std  # as in training: borders of images in [0, 1]
    random_net = build_net(dict(type="ResNet", depth=18, zero_init_residual=False), num_classes=100)
    saliencies = dict(trained=method.saliency(trained_net(data, n, args.steps), images, labels),
                      random=method.saliency(random_net, images, labels), edges=edges(images))

    print(f"\n{n} images, {args.n_labels} labels\n")
    print("| saliency | blocks | mean gap | max gap | exact | share | solver, ms | minimum cuts, ms | whole mix, ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, saliency in saliencies.items():
        for choice, blocks in enumerate(method.blocks):
            draws = {**method.draw(n, (32, 32), torch.Generator().manual_seed(args.seed)), "blocks": choice}
            grid = gridcut.costs(seen, seen.roll(1, 0), saliency, saliency.roll(1, 0), draws["lam"], blocks,
                                 n_labels=args.n_labels)
            solution = gridcut.solve(grid)
            start = time.perf_counter()
            _, least = optimum(grid)
            cuts = (time.perf_counter() - start) * 1e3
            gap = energies(solution, grid) / least - 1
            solver = least_ms(lambda grid=grid: gridcut.solve(grid))
            whole = least_ms(lambda draws=draws, saliency=saliency: method(images, labels, draws, saliency))
            share = 1 - solution.float().mean() / (args.n_labels - 1)
            print(f"| {name} | {blocks} | {gap.mean():.4%} | {gap.max():.3%} | {(gap < 1e-6).float().mean():.0%} "
                  f"| {share:.3f} | {solver:.1f} | {cuts:.0f} | {whole:.1f} |")
    compare_transport(images, saliencies["trained"])


if __name__ == "__main__":
    main()
