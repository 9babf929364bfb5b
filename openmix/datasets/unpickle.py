"""Reading the pickles CIFAR comes in without executing anything.

A pickle is a program. This reader knows arrays, bytes, str, list, tuple, dict and int; any other name in the file is
refused before it is imported, and even numpy's own constructors are replaced by stand-ins that only note what they
were given.
"""
import io
import math
import pickle

import numpy as np

DTYPES = ("u1", "i4", "i8")


class _DType:
    def __init__(self, name="", *_):
        if name not in DTYPES:
            raise pickle.UnpicklingError(f"arrays of dtype {name!r} are not allowed")
        self.name = name

    def __setstate__(self, state):
        if state[1] == ">":
            raise pickle.UnpicklingError("big-endian arrays are not allowed")


class _Array:
    def __init__(self, *_):
        self.value = None

    def __setstate__(self, state):
        _, shape, dtype, fortran, raw = state
        self.fill(raw, dtype, shape, "F" if fortran else "C")

    def fill(self, raw, dtype, shape, order):
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
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


def loads(data: bytes, where) -> dict:
    """The dict pickled in ``data`` with its values, arrays among them; ``where`` names the file in errors.

    Raises:
        ValueError: damaged, no dict, or holding anything but plain data (then nothing of it was executed).
    """
    try:
        found = _Unpickler(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:  # a damaged pickle can fail in almost any way
        raise ValueError(f"{where} is damaged or no plain data file: {type(error).__name__}: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{where} must hold a dict, got {type(found).__name__}")
    return {k: v.value if isinstance(v, _Array) else v for k, v in found.items()}
