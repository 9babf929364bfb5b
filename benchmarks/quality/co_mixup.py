#!/usr/bin/env python
"""Co-Mixup's batched solver against the one of its authors, on saliency of real CIFAR-100 images.

    python benchmarks/quality/co_mixup.py --data-root data

Batches of 100 test images in parts of 20; saliency is the gradient of a small network in training mode, which was
trained for ``--steps`` steps on other images. Each batch is solved with ``--draws`` priors and random starts, the same
for both solvers, since the inputs an output of one batch differ by some percent from draw to draw. The solver of the
authors (github.com/snu-mllab/Co-Mixup, match.py): multi-label swaps by gco-wrapper, output by output, with an early
stop. It is left out where ``pip install gco-wrapper`` has not been run. Times are of one thread for one batch.

Saliency of an output is the sum of what its cells show of their inputs' shares (1 for an unmixed image). The penalty is
the diversity term of a part: gamma times the sum, over outputs and inputs, of the input's use by the others, where it
exceeds the threshold, times its use by the output.
"""
import argparse
import itertools
import time

import numpy
import torch
from prettytable import PrettyTable, TableStyle
from puzzle_solver import normalised, trained_net
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from openmix.datasets import CIFAR100
from openmix.mixups import CoMixup
from openmix.solvers.composition import HALF_AFFINITY, HALF_BONUS, compose, resolve

try:
    import gco
except ImportError:
    gco = None


# -- the authors' solver ----------------------------------------------------------------------------------------------

def labelling(cost, counts, beta):
    """Shares (M, R, C) of one output by swaps of labels; with ``counts`` (M,) halves of the three most used inputs."""
    m, rows, columns = cost.shape
    used = numpy.sort(numpy.argsort(-counts, kind="stable")[:3]) if counts is not None else []
    pairs = list(itertools.combinations([i for i in used if counts[i] > 0], 2))
    table, distance = numpy.eye(m + len(pairs), m), 1 - numpy.eye(m + len(pairs))
    for k, pair in enumerate(pairs, m):
        table[k, pair] = 0.5
        distance[k, pair] = distance[pair, k] = 1 - HALF_AFFINITY
    unary = numpy.einsum("km,mrc->rck", table, cost)
    unary[..., m:] -= HALF_BONUS
    edges = [numpy.full(shape, beta, numpy.float32) for shape in ((rows - 1, columns), (rows, columns - 1))]
    labels = gco.cut_grid_graph(numpy.ascontiguousarray(unary, numpy.float32), distance.astype(numpy.float32), *edges,
                                algorithm="swap")
    return table[labels].T.reshape(m, rows, columns)


def objective(cost, shares, beta, gamma):
    """What the early stop looks at: costs, smoothness, and diversity without a threshold."""
    use = shares.sum((2, 3))
    smooth = sum((numpy.diff(shares, axis=axis) ** 2).sum() for axis in (2, 3))
    return (cost * shares).sum() + beta / 2 * smooth + gamma * ((use.sum(0) ** 2).sum() - (use**2).sum())


def by_swaps(saliency, compatibility, prior, start, beta, gamma, eta, threshold, sweeps):
    """The authors' composition of one part: (M, M, R, C)."""
    m, cells = len(saliency), saliency[0].size
    beta, gamma, eta, threshold = beta / cells, gamma / cells, eta / cells, threshold * cells
    cost = -saliency - eta * prior[:, None, None]
    shares = numpy.moveaxis(numpy.eye(m)[start], 3, 1)
    extra, before = numpy.zeros((m, m)), objective(cost, shares, beta, gamma)
    for sweep in range(sweeps):
        for o in range(m):
            counts = shares.sum((2, 3))
            use = compatibility @ (counts.sum(0) - counts[o])
            rise = numpy.where(use > threshold, 2 * gamma * use, 0) + gamma * extra[o]
            shares[o] = labelling(cost + rise[:, None, None], counts[o] if sweep else None, beta)
        if sweep == sweeps - 2:
            extra = resolve(torch.from_numpy(shares.sum((2, 3)) > 0)[None])[0].numpy()
        now = objective(cost, shares, beta, gamma)
        if abs((before - now) / now) < 1e-6:
            break
        before = now
    return shares


# -- the comparison ---------------------------------------------------------------------------------------------------

class Operations(TorchDispatchMode):
    """Counts what runs, and what waits for the device."""

    def __init__(self):
        super().__init__()
        self.count = self.reads = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        self.reads += function in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        return function(*args, **(kwargs or {}))


def measures(shares: Tensor, case: dict, settings: dict) -> list[float]:
    """Means over the outputs of all parts, (P, M, M, R, C)."""
    counts = shares.sum((3, 4))
    use = counts.sum(1)
    others = use[:, None] - counts
    penalty = (torch.where(others > settings["threshold"] * 16, others, 0) * counts).sum((1, 2)) / 16
    means = [(shares * case["saliency"][:, None]).sum((2, 3, 4)), (counts > 0).sum(2).float(), use.std(1), use.amax(1),
             (shares == 0.5).any(2).float(), penalty]
    return [each.mean().item() for each in means]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", default="data", help="holds cifar-100-python/ or its archive")
    parser.add_argument("--batches", type=int, default=6)
    parser.add_argument("--draws", type=int, default=5, help="priors and starts a batch")
    parser.add_argument("--steps", type=int, default=300, help="training steps before gradients are taken")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    data, method = CIFAR100(args.data_root, "test"), CoMixup()
    net = trained_net(data, 100 * args.batches, args.steps).train()
    saliencies = []
    actual = {"ours": []} if gco is None else {"ours": [], "authors' (gco)": []}
    count = args.batches * args.draws
    for k in range(count):
        if k < args.batches:
            saliencies.append(method.saliency(net, *normalised(data, torch.arange(100 * k, 100 * k + 100))))
        draws = method.draw(100, (32, 32), torch.Generator().manual_seed(args.seed + k))
        case = method.problem(saliencies[k % args.batches], draws)

        def authors(case=case):
            given = zip(*(case[key].double().numpy() if key != "start" else case[key].numpy()
                          for key in ("saliency", "compatibility", "prior", "start")), strict=True)
            return torch.from_numpy(numpy.stack([by_swaps(*part, **method.energy) for part in given])).float()

        solvers = {"ours": lambda case=case: compose(**case, **method.energy), "authors' (gco)": authors}
        for name, rows in actual.items():
            begin = time.perf_counter()
            shares = solvers[name]()
            rows.append([*measures(shares, case, method.energy), (time.perf_counter() - begin) * 1e3])
    with Operations() as operations:
        compose(**case, **method.energy)

    table = PrettyTable(["solver", "saliency kept", "inputs an output", "uses of an input, sd", "max", "half cells",
                         "penalty", "ms a batch"])
    mean = {name: torch.tensor(rows).mean(0).tolist() for name, rows in actual.items()}
    for name, row in mean.items():
        table.add_row([name, *(f"{value:.3f}" for value in row[:2]), *(f"{value:.2f}" for value in row[2:4]),
                       f"{row[4]:.3f}", f"{row[5]:.1f}", f"{row[6]:.0f}"])
    table.set_style(TableStyle.MARKDOWN)
    print(f"\n{args.batches} batches of 100 images in parts of 20, {args.draws} draws each\n\n{table}\n")
    if gco is None:
        print("the authors' solver needs gco-wrapper: pip install gco-wrapper")
    else:
        ours, authors = (torch.tensor(rows) for rows in actual.values())
        gap = (ours - authors) / authors.mean(0)
        error = gap.std(0) / count**0.5
        print(f"saliency {gap[:, 0].mean():+.2%} (standard error {error[0]:.2%}), inputs {gap[:, 1].mean():+.2%} "
              f"({error[1]:.2%}), {authors[:, -1].sum() / ours[:, -1].sum():.1f} times as fast")
    print(f"operations a batch: {operations.count}, reads of the host: {operations.reads}")


if __name__ == "__main__":
    main()
