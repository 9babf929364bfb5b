import collections
import os
import pickle

import numpy as np
import pytest

from openmix.datasets import CIFAR100, unpickle

from .fabricate import FOLDER, write_folder


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
        unpickle.loads(data, "train")
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
        unpickle.loads(pickle.dumps({"data": value}, protocol=2), "file")


def test_plain_data_comes_back_unchanged():
    entry = {"a": [1, -2, 2**40], "b": b"\x00\xff", "c": "text", "d": (1, None, True), "e": {"f": [1.5]}}
    arrays = {"x": np.arange(12, dtype=np.uint8).reshape(3, 4), "y": np.arange(4), "z": np.arange(4, dtype=np.int32),
              "f": np.asfortranarray(np.arange(12, dtype=np.uint8).reshape(3, 4))}
    for protocol in (2, 4, 5):
        found = unpickle.loads(pickle.dumps({**entry, **arrays}, protocol=protocol), "file")
        assert {k: found[k] for k in entry} == entry
        for k, array in arrays.items():
            assert found[k].dtype == array.dtype and np.array_equal(found[k], array)


def test_an_array_that_claims_another_shape_is_refused():
    data = pickle.dumps({"data": np.zeros((3, 4), np.uint8)}, protocol=2).replace(b"K\x03K\x04", b"K\x03K\x05")
    with pytest.raises(ValueError, match="12 values"):
        unpickle.loads(data, "file")


@pytest.mark.parametrize("data", [b"", b"no pickle", pickle.dumps([1, 2])])
def test_what_is_no_dict_is_refused(data):
    with pytest.raises(ValueError, match="file"):
        unpickle.loads(data, "file")
