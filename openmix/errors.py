"""Messages that name the nearest known spelling."""
import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The tail of an error message: the nearest known name, then all of them."""
    known = sorted({str(k) for k in known})
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    if not near:  # `MIXUP` for `MixUp`: the same letters in another case
        near = [k for k in known if k.lower() == str(name).lower()][:1]
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}known: {', '.join(known) or 'none'}"
