"""Work dirs as runs leave them, with accuracies and costs of one's choice."""
import json
import struct
import zlib
from pathlib import Path

from openmix import workdir as provenance
from openmix.workdir import result

CONFIG = """config_name = 'configs/{name}.py'
model = dict(
    backbone=dict(depth={depth}, type='CifarResNet'),
    mixup=dict({mixup}),
    num_classes=100,
    type='Classifier')
randomness = dict(seed={seed})
train_cfg = dict(max_epochs={epochs})
train_dataloader = dict(dataset=dict(data_root='data', type='CIFAR100'), total_batch=100)
"""


def write_run(folder, mixup="type='MixUp'", seed=0, top1=(), *, depth=20, epochs=None, status="done", hardware="GPU A",
              img_s=1000.0, memory=500.0, losses=None, picture=None) -> Path:
    """One run.

    Args:
        top1: accuracy of each epoch, None for one that was not evaluated. epochs: planned; as many by default.
        status: "done", "diverged", or a state of ``status.json`` without a result ("interrupted" leaves "running"
            behind, without a lock).
        losses: logged, one an epoch of 500 steps. picture: (epoch, bytes) of ``mixes/epoch_<n>.png``.
    """
    folder, epochs = Path(folder), epochs or len(top1)
    (folder / "part" / "vis_data").mkdir(parents=True)
    name = folder.parent.name
    (folder / f"{name}.py").write_text(CONFIG.format(name=name, depth=depth, mixup=mixup, seed=seed, epochs=epochs))
    from openmix.results.labels import read_config

    config_hash = provenance.config_hash(read_config(folder / f"{name}.py"))
    state = {"interrupted": "running"}.get(status, status)
    (folder / "status.json").write_text(json.dumps(dict(state=state, epoch=len(top1))))
    (folder / "env.json").write_text(json.dumps(dict(versions=dict(torch="2.9.0"), hardware=hardware, world_size=1)))
    history = [dict(epoch=i, img_s=img_s, val=None if v is None else dict(net=dict(top1=v, top5=v)))
               for i, v in enumerate(top1, 1)]
    if status in ("done", "diverged"):
        report = result.build(
            history, status=status, config=name, config_hash=config_hash, seed=seed, processes=1, total_batch=100,
            data=dict(name="CIFAR-100", sha256="d" * 64, images=50000), parameters=1, max_epochs=epochs, wall_s=10.0,
            peak_memory_mib=memory, hardware=hardware, precision="torch.bfloat16")
        (folder / "result.json").write_text(json.dumps(report))
    with open(folder / "part" / "vis_data" / "scalars.json", "w") as file:
        for epoch, value in enumerate(top1, 1):
            if losses is not None:
                file.write(json.dumps(dict(loss=losses[epoch - 1], epoch=epoch, step=500 * epoch)) + "\n")
            if value is not None:
                file.write(json.dumps(dict(top1=value, step=500 * epoch)) + "\n")
    if picture is not None:
        (folder / "mixes").mkdir()
        (folder / "mixes" / f"epoch_{picture[0]}.png").write_bytes(picture[1])
    return folder


def png(width: int = 8, height: int = 6, value: int = 100) -> bytes:
    """A grey picture."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes([value]) * width for _ in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
