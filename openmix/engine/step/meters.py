"""Scalars of many steps, added up on the device and read without stopping it."""
import torch
from torch import Tensor


def record_event(device: torch.device) -> torch.cuda.Event | None:
    """A point in the device's queue, to measure time from; None on a CPU."""
    if device.type != "cuda":
        return None
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


class AsyncRead:
    """Numbers on their way to the host: :meth:`tolist` waits for these alone, not for what was queued after them."""

    def __init__(self, values: Tensor):
        self.host = values
        if values.device.type == "cuda":
            self.host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self.host.copy_(values, non_blocking=True)
        self.done = record_event(values.device)

    def tolist(self) -> list[float]:
        if self.done is not None:
            self.done.synchronize()
        return self.host.tolist()


class ScalarMeter:
    """Named scalars of steps, added up on the device in tensors that stay the same."""

    def __init__(self):
        self.totals: dict[str, Tensor] = {}
        self.names: dict[str, None] = {}  # of the steps since the last reading, in order
        self.count = 0

    def add(self, losses: dict[str, Tensor]) -> None:
        """Add one step's scalars."""
        for name, value in losses.items():
            if name in self.totals:
                self.totals[name] += value
            else:  # the first step, or another method of a RandomChoice with terms of its own
                self.totals[name] = value.clone()

    def count_step(self, names) -> None:
        """Count a step on the host, where replaying a captured one runs no :meth:`add`."""
        self.count += 1
        if self.names.keys() != names:
            self.names.update(dict.fromkeys(names))

    def read_and_reset(self, *others: Tensor) -> tuple[int, list[str], AsyncRead]:
        """How many steps, the names, and the sums followed by ``others`` (scalars); then begin anew."""
        names = list(self.names)
        totals = [self.totals[name] for name in names]
        values = AsyncRead(torch.stack([*totals, *others]))
        for total in totals:
            total.zero_()
        count, self.count, self.names = self.count, 0, {}
        return count, names, values

    def state(self) -> dict:
        """Plain data of the steps since the last reading."""
        return dict(totals={name: self.totals[name].clone() for name in self.names}, seen=list(self.names),
                    count=self.count)

    def load(self, state: dict, device) -> None:
        """Go on from :meth:`state`; older versions kept the scalars of some steps apart, as ``pending``."""
        self.totals = {name: value.to(device) for name, value in state["totals"].items()}
        for losses in state.get("pending", ()):
            self.add({name: value.to(device) for name, value in losses.items()})
        self.names, self.count = dict.fromkeys(state["seen"]), state["count"]
