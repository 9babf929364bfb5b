"""Messages that name the nearest known spelling."""
import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The tail of an error message: the nearest known name, then all of them."""
    known = sorted({str(k) for k in known})
    lowered = {k.lower(): k for k in known}  # `MIXUP` for `MixUp`: case is no distance
    near = difflib.get_close_matches(str(name).lower(), lowered, n=1, cutoff=0.5)
    hint = f"did you mean {lowered[near[0]]!r}? " if near else ""
    return f"{hint}known: {', '.join(known) or 'none'}"
