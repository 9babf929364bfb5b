#!/usr/bin/env python
"""Seconds of one evaluation of 10,000 images: our loop against mmengine's ValLoop with a metric that goes by samples.

    python benchmarks/speed/evaluation.py

Both evaluate the same network on the same images in batches of 100 and must find the same accuracies. The networks are
tiny, so that what is around them is what is measured:

* loop: 64 numbers for an image, batches that lie ready. All that differs is the loop and the counting.
* loop + DataLoader: as above, but mmengine's loop gets its batches from a DataLoader over the samples.
* images: uint8 images (3, 32, 32), random ones. Ours: the resident loader. mmengine: PIL, ToTensor and Normalize of
  torchvision in a DataLoader, which starts its workers anew for each evaluation, as by default.

The metric keeps a score and a label of each sample and looks at them in the end, as classification libraries on
mmengine do; samples are plain dicts here, which costs less than their data elements.
"""
import argparse
import logging
import tempfile
import warnings

import torch
from measure import interleaved, print_setting, print_table
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner as DefaultRunner
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision import transforms

from openmix.datasets import Arrays, ResidentLoader
from openmix.engine.runner import Runner
from openmix.registry import BACKBONES

IMAGES, BATCH, CLASSES = 10_000, 100, 100
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@BACKBONES.register_module()
class Hidden(nn.Module):
    """64 numbers to 32 features."""

    out_channels = 32

    def __init__(self):
        super().__init__()
        self.layer1 = nn.Linear(64, 32)

    def forward(self, x):
        return self.layer1(x).relu()


@BACKBONES.register_module()
class Pooled(nn.Module):
    """Images to the means of 4 x 4 areas."""

    out_channels = 48

    def forward(self, images):
        return nn.functional.avg_pool2d(images, 8).flatten(1)


class Ready:
    """Batches that are on the device; ``dataset`` is what mmengine asks a loader for."""

    total_batch = BATCH

    def __init__(self, images, labels):
        images, labels = images.to(DEVICE), labels.to(DEVICE)
        self.batches, self.dataset = list(zip(images.split(BATCH), labels.split(BATCH), strict=True)), labels

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches)


class PILImages(torch.utils.data.Dataset):
    """The images as torchvision's CIFAR hands them out."""

    def __init__(self, data: Arrays):
        self.images, self.labels = data.images.permute(0, 2, 3, 1).contiguous().numpy(), data.labels.tolist()
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(data.mean, data.std)])

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


class BySample(BaseMetric):
    """Top-1 and top-5 of scores that are kept sample by sample."""

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            self.results.append(dict(score=sample["score"].cpu(), label=sample["label"].cpu()))

    def compute_metrics(self, results):
        scores, labels = (torch.stack([r[key] for r in results]) for key in ("score", "label"))
        right = scores.topk(5).indices == labels[:, None]
        return {f"top{k}": 100 * right[:, :k].any(1).float().mean().item() for k in (1, 5)}


class Plain(BaseModel):
    """A network as mmengine evaluates it."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images, labels, mode="tensor"):
        return [dict(score=score, label=label) for score, label in zip(self.net(images), labels, strict=True)]


def ours(backbone: str, loader, folder: str):
    """(the network, a call that evaluates it with our loop)."""
    cfg = Config(dict(
        model=dict(type="Classifier", num_classes=CLASSES, backbone=dict(type=backbone)), work_dir=folder,
        val_dataloader=dict(dataset=dict(type="Shapes")), val_cfg=dict(), val_evaluator=dict(type="Accuracy"),
        env_cfg=dict(amp="off"), default_hooks=dict(checkpoint=None, preview=None), log_level="ERROR"))
    runner = Runner.from_cfg(cfg)
    loop = runner.build_val_loop(loader)
    return runner.model.net, lambda: loop.run()["net"]


def mmengines(net, loader, folder: str):
    """A call that evaluates ``net`` with mmengine's loop."""
    runner = DefaultRunner(Plain(net), folder, val_dataloader=loader, val_cfg=dict(), val_evaluator=[BySample()],
                           default_hooks=dict(checkpoint=None), log_level="ERROR")
    return lambda: runner.val_loop.run()


def check(contenders: dict) -> None:
    """All must count the same."""
    results = {name: call() for name, call in contenders.items()}
    for name, metrics in results.items():
        for key in ("top1", "top5"):
            if abs(metrics[key] - results["openmix"][key]) > 0.05:
                raise RuntimeError(f"{name} finds {key} {metrics[key]}, openmix {results['openmix'][key]}")


def vectors(folder: str) -> dict:
    images, labels = torch.randn(IMAGES, 64), torch.randint(CLASSES, (IMAGES,))
    ready = Ready(images, labels)
    net, call = ours("Hidden", ready, folder)
    loader = DataLoader(TensorDataset(images, labels), BATCH)
    return {"openmix": call, "mmengine: loop": mmengines(net, ready, folder),
            "mmengine: loop + DataLoader": mmengines(net, loader, folder)}


def pictures(folder: str, workers: list[int]) -> dict:
    images, labels = torch.randint(256, (IMAGES, 3, 32, 32), dtype=torch.uint8), torch.randint(CLASSES, (IMAGES,))
    data = Arrays(images, labels, classes=range(CLASSES))
    net, call = ours("Pooled", ResidentLoader(data, train=False, device=DEVICE), folder)
    stored, calls = PILImages(data), {"openmix": call}
    for n in workers:
        calls[f"mmengine: images, {n} workers"] = mmengines(net, DataLoader(stored, BATCH, num_workers=n), folder)
    return calls


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 2], help="of the DataLoader of images")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.INFO)
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for group in (vectors(folder), pictures(folder, args.workers)):
            check(group)
            times = interleaved(group, args.rounds)
            rows += [[name, 1e3 * times["openmix"], 1e3 * seconds, seconds / times["openmix"]]
                     for name, seconds in times.items() if name != "openmix"]
    print_setting("mmengine", "torchvision", images=IMAGES, batch=BATCH)
    print_table(["against", "openmix ms", "theirs ms", "theirs / openmix"], rows)


if __name__ == "__main__":
    main()
