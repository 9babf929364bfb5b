"""Errors of the user's input, and messages that name the nearest known spelling."""
import contextlib
import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something that the user gave is wrong: reported in one line and exit code 2, without a traceback."""

    is_input = True


@contextlib.contextmanager
def reading_input():
    """Errors raised in here are about the user's input, unless they are marked otherwise: see :func:`is_input_error`.

    Around everything that reads and checks a config, the files it names, and a checkpoint; or as a decorator.
    """
    try:
        yield
    except (ValueError, TypeError, ImportError, OSError) as error:
        mark(error, True)
        raise


def mark(error: BaseException, is_input: bool) -> None:
    """Note whether an error is about the user's input; the first mark stays."""
    if not hasattr(error, "is_input"):
        error.is_input = is_input


def is_input_error(error: BaseException) -> bool:
    """Whether an error is about the user's input, or names a file that cannot be read; any other is a fault."""
    return getattr(error, "is_input", isinstance(error, OSError) and error.filename is not None)


def is_refusal(error: BaseException) -> bool:
    """Whether a statement ``raise`` of openmix made the error, as each check of the input does.

    Errors that Python, a library or a function of others raises are faults, until openmix has put what they mean for
    the input into words: ``raise ValueError(...) from error``.
    """
    import dis

    entry = error.__traceback__
    while entry.tb_next is not None:
        entry = entry.tb_next
    frame = entry.tb_frame
    return (str(frame.f_globals.get("__name__")).partition(".")[0] == __name__.partition(".")[0]
            and dis.opname[frame.f_code.co_code[entry.tb_lasti]] == "RAISE_VARARGS")


MOST_NAMES = 60  # that a message lists


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The tail of an error message: the nearest known name, then all of them; of very many only the nearest few."""
    known = sorted({str(k) for k in known})
    lowered = {k.lower(): k for k in known}  # `MIXUP` for `MixUp`: case is no distance
    near = difflib.get_close_matches(str(name).lower(), lowered, n=5, cutoff=0.5)
    hint = f"did you mean {lowered[near[0]]!r}? " if near else ""
    if len(known) > MOST_NAMES:
        some = [lowered[name] for name in near] or known[:5]
        return f"{hint}{len(known)} names are known, {'the nearest' if near else 'such as'}: {', '.join(some)}"
    return f"{hint}known: {', '.join(known) or 'none'}"
