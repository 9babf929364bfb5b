"""Work dirs made by hand: what a training leaves there, without the training."""
import json
from pathlib import Path

from openmix.results.labels import read_config
from openmix.workdir import result
from openmix.workdir.identity import config_hash

CONFIG = """auto_scale_lr = dict(base_batch_size=100)
config_name = 'configs/cifar100/{file}.py'
data_preprocessor = dict(mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.201))
env_cfg = dict(amp='auto', channels_last='auto', cudnn_benchmark=True)
launcher = 'none'
model = dict(
    backbone=dict({backbone}),
    mixup=dict({mixup}),
    num_classes=100,
    type='Classifier')
optim_wrapper = dict(
    optimizer=dict(lr=0.03, momentum=0.9, type='SGD', weight_decay={weight_decay}))
param_scheduler = [
    dict(eta_min=0.0, type='CosineAnnealingLR'),
]
test_dataloader = dict(
    dataset=dict(data_root='data', split='test', type='CIFAR100'))
test_evaluator = dict(topk=(1, 5), type='TopK')
randomness = dict(deterministic=False, seed={seed})
train_cfg = dict(max_epochs={epochs}, val_interval=1)
train_dataloader = dict(
    augment=dict(flip=0.5, mode='reflect', padding=4),
    dataset=dict(data_root='data', split='train', type='CIFAR100'),
    total_batch=100)
val_dataloader = dict(
    dataset=dict(data_root='data', split='{split}', type='CIFAR100'))
val_evaluator = dict(topk=(1, 5), type='TopK')
work_dir = '{folder}'
"""
WRN = "depth=28, type='WideResNet', widen_factor=8"
ENV = dict(versions=dict(openmix="0.1.0", torch="2.11.0"), hardware="GPU A", world_size=1)


def last_ten(*values, epochs=400) -> list:
    """Accuracies of all epochs: 10 % until the last ten, which are ``values`` (one is repeated)."""
    values = values * 10 if len(values) == 1 else values
    assert len(values) == 10
    return [10.0] * (epochs - 10) + list(values)


def make_run(folder, mixup="type='Vanilla'", seed=0, curve=None, status="done", epochs=400, backbone=WRN,
             weight_decay=0.001, split="test", hardware="GPU A", img_s=5000.0, memory=2000.0, processes=1,
             precision="torch.bfloat16", torch="2.11.0", files=True, **facts) -> Path:
    """A work dir whose run ended with ``status`` after the epochs of ``curve``; without a curve it has no result."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    text = CONFIG.format(file=folder.parent.name, backbone=backbone, mixup=mixup, weight_decay=weight_decay, seed=seed,
                         epochs=epochs, split=split, folder=folder)
    config = folder / "wrn28_8_method.py"
    config.write_text(text)
    state = dict(state=status, attempt=1, host="h", pid=1, heartbeat="2026-01-01T00:00:00+00:00")
    env = ENV | dict(hardware=hardware, world_size=processes, versions=dict(torch=torch), seed=seed)
    for name, content in (("status.json", state), ("env.json", env)):
        (folder / name).write_text(json.dumps(content, indent=2))
    if curve is not None:
        history = [dict(epoch=i, img_s=img_s, val=dict(net=dict(top1=top1, top5=99.0))) for i, top1 in
                   enumerate(curve, 1)]
        actual = result.build(
            history, status=status, config="configs/x.py", config_hash=config_hash(read_config(config)),
            data=dict(name="CIFAR-100", sha256="ab" * 32, official=True), seed=seed, processes=processes,
            total_batch=100, parameters=23_409_092, max_epochs=epochs, wall_s=60.0, peak_memory_mib=memory, split=split,
            hardware=hardware, precision=precision, **facts)
        (folder / "result.json").write_text(json.dumps(actual, indent=2))
    if files:
        log = folder / "20260101_000000_000000" / "20260101_000000_000000.log"
        log.parent.mkdir()
        log.write_text("log\n")
        for name in ("epoch_9.pth", "epoch_10.pth", "best.pth"):
            (folder / name).write_bytes(b"")
    return folder


def small_result(*curve, status="done") -> dict:
    """The content of a ``result.json`` after the epochs of ``curve``."""
    history = [dict(epoch=i, val=dict(net=dict(top1=top1, top5=99.0))) for i, top1 in enumerate(curve, 1)]
    return result.build(history, status=status, config="c.py", config_hash="", data={}, seed=0, processes=1,
                        total_batch=1, parameters=1, max_epochs=len(curve), wall_s=0.0, peak_memory_mib=0.0)


def damage(folder: Path, how: str) -> Path:
    """Tear a run's result in the middle, claim a newer schema, or leave out the accuracies."""
    path = folder / "result.json"
    text = path.read_text()
    if how == "torn":
        path.write_text(text[:len(text) // 2])
    elif how == "newer":
        path.write_text(text.replace('"schema": 2', '"schema": 3'))
    else:
        actual = json.loads(text)
        del actual["networks"]
        path.write_text(json.dumps(actual))
    return folder


def make_two_kinds(folder) -> None:
    """Runs of Vanilla and MixUp, one on each of two GPUs, where MixUp takes 1.5 and 2 times as long, and one of CutMix
    on the second GPU, 1.25 times.
    """
    for seed, hardware, vanilla, mixup in ((0, "GPU A", 6000.0, 4000.0), (1, "GPU B", 1000.0, 500.0)):
        kinds = dict(seed=seed, hardware=hardware)
        make_run(folder / "v" / f"seed{seed}", curve=last_ten(80.0), img_s=vanilla, **kinds)
        make_run(folder / "m" / f"seed{seed}", "type='MixUp'", curve=last_ten(82.0), img_s=mixup, **kinds)
    make_run(folder / "c" / "seed0", "type='CutMix'", curve=last_ten(82.0), hardware="GPU B", img_s=800.0)
