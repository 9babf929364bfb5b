"""The history of a run as a CSV file."""
import csv
import io
from pathlib import Path

from mmengine.hooks import Hook

from ...workdir.files import write_atomic

__all__ = ["CSVHook"]


class CSVHook(Hook):
    """Write a row an epoch to ``epochs.csv`` of the work dir: learning rate, seconds, means of training, accuracies.

    The whole file is written anew each time, from the run's history. So it is right after a resume, too, and values
    that were not measured in each epoch are empty cells.

    Args:
        name: of the file, inside the work dir.

    Raises:
        ValueError: ``name`` has a folder, or does not end with ``.csv``.
    """

    priority = "VERY_LOW"

    def __init__(self, name: str = "epochs.csv"):
        if Path(name).name != name or not name.endswith(".csv"):
            raise ValueError(f"CSVHook.name must be a name inside the work dir that ends with .csv, got {name!r}")
        self.name = name

    def after_epoch(self, runner, entry, force=False):
        if runner.rank == 0:
            path = Path(runner.work_dir, self.name)
            try:
                write_atomic(path, as_csv([as_row(epoch) for epoch in runner.history]).encode())
            except OSError as error:  # a full disk costs a log and not the run
                runner.logger.warning(f"could not write {path}: {error}")

    def after_run(self, runner):
        self.after_epoch(runner, None)  # evaluations of the last epoch come behind it


def as_row(entry: dict) -> dict:
    """An entry of the history as {column: value}: ``train.loss``, ``net.top1``, and ``cal.net.ece`` of ``evals``."""
    row = {name: entry[name] for name in ("epoch", "lr", "seconds")}
    row |= {f"train.{name}": value for name, value in entry["train"].items()}
    row |= measured(entry["val"] or {})
    for name, evaluation in (entry.get("evals") or {}).items():
        row |= {f"{name}.{key}": value for key, value in measured(evaluation["networks"]).items()}
    return row


def measured(networks: dict) -> dict:
    """``{"net.top1": 78.5}`` of the numbers of each network; curves and counts of images are left out."""
    return {f"{network}.{name}": value for network, values in networks.items() for name, value in values.items()
            if isinstance(value, (int, float)) and name != "count"}


def as_csv(rows: list[dict]) -> str:
    """Text with a head of all columns, in the order in which they first come."""
    text = io.StringIO()
    writer = csv.DictWriter(text, dict.fromkeys(name for row in rows for name in row), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
