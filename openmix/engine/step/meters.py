"""Scalars of many steps, added up on the device and read without stopping it."""
import torch
from torch import Tensor


def mark(device: torch.device) -> torch.cuda.Event | None:
    """A point in the device's queue, to measure time from; None on a CPU."""
    if device.type != "cuda":
        return None
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


class Readout:
    """Numbers on their way to the host: :meth:`tolist` waits for these alone, not for what was queued after them."""

    def __init__(self, values: Tensor):
        self.host = values
        if values.device.type == "cuda":
            self.host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self.host.copy_(values, non_blocking=True)
        self.done = mark(values.device)

    def tolist(self) -> list[float]:
        if self.done is not None:
            self.done.synchronize()
        return self.host.tolist()


class Sums:
    """Named scalars of steps, added up on the device.

    Eager steps hand theirs over and they are added when somebody asks. With ``at_once``, as in a captured step, each
    is added to totals that stay the same tensors.
    """

    def __init__(self, at_once: bool = False):
        self.at_once, self.pending = at_once, []
        self.totals: dict[str, Tensor] = {}
        self.seen: dict[str, None] = {}  # names of the steps since the last reading
        self.count = 0

    def add(self, losses: dict[str, Tensor]) -> None:
        """Add one step's scalars (tensors that nobody writes to afterwards)."""
        if not self.at_once:
            self.pending.append(losses)
            return
        for name, value in losses.items():
            if name in self.totals:
                self.totals[name] += value
            else:  # the first step, or another method of a RandomChoice with terms of its own
                self.totals[name] = value.clone()

    def settle(self) -> None:
        """Add up what eager steps have handed over."""
        values = {}
        for losses in self.pending:
            for name, value in losses.items():
                values.setdefault(name, []).append(value)
        for name, found in values.items():
            total = torch.stack(found).sum()
            if name in self.totals:
                self.totals[name] += total
            else:
                self.totals[name] = total
        self.pending = []

    def note(self, names) -> None:
        """Count a step on the host, where replaying a captured one runs no :meth:`add`."""
        self.count += 1
        if self.seen.keys() != names:
            self.seen.update(dict.fromkeys(names))

    def take(self, *others: Tensor) -> tuple[int, list[str], Readout]:
        """How many steps, the names, and the sums followed by ``others`` (scalars); then begin anew."""
        self.settle()
        names = list(self.seen)
        totals = [self.totals[name] for name in names]
        readout = Readout(torch.stack([*totals, *others]))
        for total in totals:
            total.zero_()
        count, self.count, self.seen = self.count, 0, {}
        return count, names, readout

    def state(self) -> dict:
        """Plain data; what is pending stays apart, so that a resumed run adds it up in the same order."""
        pending = [{name: value.clone() for name, value in losses.items()} for losses in self.pending]
        return dict(totals={name: self.totals[name].clone() for name in self.totals if name in self.seen},
                    pending=pending, seen=list(self.seen), count=self.count)

    def load(self, state: dict, device) -> None:
        self.totals = {name: value.to(device) for name, value in state["totals"].items()}
        self.pending = [{name: value.to(device) for name, value in losses.items()} for losses in state["pending"]]
        self.seen, self.count = dict.fromkeys(state["seen"]), state["count"]
        if self.at_once:
            self.settle()
