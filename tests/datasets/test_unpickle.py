import collections
import io
import os
import pickle
import struct

import numpy as np
import pytest

from openmix.datasets import CIFAR100, unpickle
from tests.datasets.fabricate import FOLDER, write_folder


def loads(data, where):
    return unpickle.load(io.BytesIO(data), where)


class Python2(pickle._Pickler):
    """Writes text and bytes as Python 2 wrote its one kind of string, as in the official files."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_string(self, value):
        data = value.encode("latin1") if isinstance(value, str) else value
        self.write((b"U" + bytes([len(data)]) if len(data) < 256 else b"T" + struct.pack("<i", len(data))) + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string


class Run:
    """A pickle of this calls ``function(*args)`` when it is read by pickle.load."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


@pytest.mark.parametrize("wrap", [lambda bad: bad, lambda bad: {"data": bad}, lambda bad: {"x": [({"y": bad},)]}])
@pytest.mark.parametrize("call", ["system", "eval", "numpy"])
def test_a_malicious_batch_executes_nothing(tmp_path, call, wrap):
    marker = tmp_path / "marker"
    bad = {"system": Run(os.system, f"touch {marker}"), "eval": Run(eval, f"open({str(marker)!r}, 'w')"),
           "numpy": Run(np.savetxt, str(marker), [1])}[call]
    data = pickle.dumps(wrap(bad), protocol=2)
    with pytest.raises(ValueError, match="nothing was executed"):
        loads(data, "train")
    assert not marker.exists()
    try:
        pickle.loads(data)  # the negative control: the same bytes do run elsewhere
    finally:
        assert marker.exists()


def test_a_malicious_file_in_the_data_folder_executes_nothing(tmp_path, small_cifar100):
    marker = tmp_path / "marker"
    write_folder(tmp_path, {**small_cifar100, "meta": pickle.dumps(Run(os.system, f"touch {marker}"))})
    with pytest.raises(ValueError, match=f"{FOLDER}/meta is damaged or no plain data file"):
        CIFAR100(tmp_path)
    assert not marker.exists()


@pytest.mark.parametrize("value", [
    np.array([{}], dtype=object), np.zeros(3, np.float64), collections.OrderedDict(a=1), range(3), 1j,
    np.zeros(3, ">i4"), Run(__import__, "os"), Run(getattr, "a", "upper"),
])
def test_anything_but_plain_data_is_refused(value):
    with pytest.raises(ValueError, match="damaged or no plain data file"):
        loads(pickle.dumps({"data": value}, protocol=2), "file")


def test_plain_data_comes_back_unchanged():
    entry = {"a": [1, -2, 2**40], "b": b"\x00\xff", "c": "text", "d": (1, None, True), "e": {"f": [1.5]}}
    arrays = {"x": np.arange(12, dtype=np.uint8).reshape(3, 4), "y": np.arange(4), "z": np.arange(4, dtype=np.int32),
              "f": np.asfortranarray(np.arange(12, dtype=np.uint8).reshape(3, 4))}
    for protocol in (2, 4, 5):
        actual = loads(pickle.dumps({**entry, **arrays}, protocol=protocol), "file")
        assert {k: actual[k] for k in entry} == entry
        for k, array in arrays.items():
            assert actual[k].dtype == array.dtype and np.array_equal(actual[k], array)


def test_files_of_python_2_hold_text_and_arrays():
    images, labels = np.arange(3072 * 2, dtype=np.uint8).reshape(2, 3072), [3, 1]
    file = io.BytesIO()
    Python2(file, protocol=2).dump({"data": images, "fine_labels": labels, "fine_label_names": ["apple", "caf\xe9"],
                                    "numbers": np.arange(3)})
    assert b"_codecs" not in file.getvalue(), "that is how Python 3 writes bytes"
    actual = loads(file.getvalue(), "train")
    assert actual["fine_labels"] == labels and actual["fine_label_names"] == ["apple", "caf\xe9"]
    assert np.array_equal(actual["data"], images) and actual["numbers"].tolist() == [0, 1, 2]


def test_an_array_that_claims_another_shape_is_refused():
    data = pickle.dumps({"data": np.zeros((3, 4), np.uint8)}, protocol=2).replace(b"K\x03K\x04", b"K\x03K\x05")
    with pytest.raises(ValueError, match="12 values"):
        loads(data, "file")


def test_a_list_that_holds_itself_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(ValueError, match="damaged or no plain data file: RecursionError"):
        loads(pickle.dumps({"data": endless}), "file")


@pytest.mark.parametrize("data", [b"", b"no pickle", pickle.dumps([1, 2])])
def test_what_is_no_dict_is_refused(data):
    with pytest.raises(ValueError, match="file"):
        loads(data, "file")
