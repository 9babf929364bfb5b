"""Reading the pickles CIFAR comes in without executing anything.

A pickle is a program. This reader knows arrays, bytes, str, list, tuple, dict and int; any other name in the file is
refused before it is imported, and even numpy's own constructors are replaced by substitutes that only record what they
were given.
"""
import math
import pickle

import numpy as np

DTYPES = ("u1", "i4", "i8")


def text(value):
    """Python 2's strings, which may be bytes or text, as text; lists of them too; other values as they are."""
    if isinstance(value, list):
        return [text(item) for item in value]
    return value.decode("latin1") if isinstance(value, bytes) else value


class _DType:
    def __init__(self, name="", *_):
        self.name = text(name)
        if self.name not in DTYPES:
            raise pickle.UnpicklingError(f"arrays of dtype {self.name!r} are not allowed")

    def __setstate__(self, state):
        if text(state[1]) == ">":
            raise pickle.UnpicklingError("big-endian arrays are not allowed")


class _Array:
    def __init__(self, *_):
        self.value = None

    def __setstate__(self, state):
        _, shape, dtype, fortran, raw = state
        self.fill(raw, dtype, shape, "F" if fortran else "C")

    def fill(self, raw, dtype, shape, order):
        if not isinstance(raw, (bytes, bytearray)) or not isinstance(dtype, _DType):
            raise pickle.UnpicklingError("an array without its bytes or dtype")
        value = np.frombuffer(raw, "<" + dtype.name)
        if math.prod(shape) != len(value):
            raise pickle.UnpicklingError(f"an array of shape {shape} with {len(value)} values")
        self.value = value.reshape(shape, order=order)


def _from_buffer(raw, dtype, shape, order, *_):
    array = _Array()
    array.fill(raw, dtype, shape, order)
    return array


def _encode(text, encoding="latin1"):  # how Python 3 writes bytes into protocol 2
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding {encoding!r} is not allowed")
    return text.encode("latin1")


ALLOWED = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no data file needs; nothing was executed")
        return ALLOWED[module, name]


def load(file, where) -> dict:
    """The dict pickled in the binary ``file`` with its values, arrays among them; ``where`` names it in errors.

    Read from a file, a data set is not held twice. Arrays are read-only.

    Raises:
        ValueError: damaged, no dict, or holding anything but plain data (then nothing of it was executed).
    """
    try:
        content = _Unpickler(file, encoding="bytes").load()  # decoding Python 2's strings would copy the images
        if not isinstance(content, dict):
            raise TypeError(f"it holds a {type(content).__name__}, not a dict")
        return {text(k): v.value if isinstance(v, _Array) else text(v) if isinstance(v, list) else v
                for k, v in content.items()}
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can fail in almost any way
        raise ValueError(f"{where} is damaged or no plain data file: {type(error).__name__}: {error}") from error
