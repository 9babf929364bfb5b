"""Checkpoints survive crashes, damage and malice."""
import collections
import contextlib
import hashlib
import itertools
import multiprocessing
import os
import pickle
import resource
import time
import zipfile

import numpy as np
import pytest
import torch

from openmix import workdir
from openmix.engine import checkpoint, run_checkpoints

fork = multiprocessing.get_context("fork")


def content(epoch, iteration=None, size=1000):
    """A run's state; the numbers in it say which one it is."""
    return dict(meta=dict(epoch=epoch, iter=10 * epoch if iteration is None else iteration),
                state_dict=dict(weight=torch.full((size,), float(epoch))))


def save_epochs(folder, *epochs):
    for epoch in epochs:
        checkpoint.save(folder / f"epoch_{epoch}.pth", content(epoch))


def names(folder):
    return sorted(p.name for p in folder.iterdir())


# -- what goes in comes out ------------------------------------------------------------------------------------

def test_plain_data_comes_back_equal(tmp_path):
    given = dict(tensor=torch.randn(3, 2), bf16=torch.ones(2, dtype=torch.bfloat16), none=None, flag=True, count=2**70,
                 rate=0.1, text="é", nested=[1, (2.5, {"a": [torch.arange(3)]})],
                 by_number={0: {"step": torch.tensor(1)}}, kind=torch.float16, device=torch.device("cpu"))
    checkpoint.save(tmp_path / "a.pth", given)
    actual = checkpoint.load(tmp_path / "a.pth")
    assert actual.keys() == given.keys()
    for key in given.keys() - {"tensor", "bf16", "nested", "by_number"}:
        assert actual[key] == given[key] and type(actual[key]) is type(given[key])
    for key in ("tensor", "bf16", "nested", "by_number"):
        torch.testing.assert_close(actual[key], given[key], rtol=0, atol=0)


def test_numpy_and_subclasses_become_plain(tmp_path):
    pair = collections.namedtuple("pair", "a b")
    version = torch.torch_version.TorchVersion("2.6")
    given = dict(scalar=np.float64(0.5), whole=np.int32(3), flag=np.bool_(True), array=np.arange(4.0), pair=pair(1, 2),
                 ordered=collections.OrderedDict(a=1), version=version, size=torch.Size([1, 2]), key={np.int64(3): 1})
    checkpoint.save(tmp_path / "a.pth", given)
    actual = checkpoint.load(tmp_path / "a.pth")
    assert torch.equal(actual.pop("array"), torch.arange(4.0, dtype=torch.float64))
    assert actual == dict(scalar=0.5, whole=3, flag=True, pair=(1, 2), ordered={"a": 1}, version="2.6", size=(1, 2),
                         key={3: 1})
    assert {type(v) for v in actual.values()} == {float, int, bool, tuple, dict, str}


def test_real_training_state_comes_back(tmp_path):
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1)
    net(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    checkpoint.save(tmp_path / "a.pth", dict(state_dict=net.state_dict(), optimizer=optimizer.state_dict()))
    actual = checkpoint.load(tmp_path / "a.pth")
    torch.testing.assert_close(actual["optimizer"], optimizer.state_dict(), rtol=0, atol=0)
    net.load_state_dict(actual["state_dict"], strict=True)


def test_a_small_view_does_not_save_the_whole(tmp_path):
    checkpoint.save(tmp_path / "a.pth", dict(part=torch.zeros(10**6)[:10]))
    assert (tmp_path / "a.pth").stat().st_size < 10_000


@pytest.mark.parametrize("value", [object(), {1, 2}, len, np.array(["a"]), 1j, b"bytes"])
def test_what_could_not_be_read_back_is_refused_by_place(tmp_path, value):
    with pytest.raises(TypeError, match=r"checkpoint\.meta\.list\[1\]: "):
        checkpoint.save(tmp_path / "a.pth", dict(meta=dict(list=[0, value])))
    with pytest.raises(TypeError, match="a key of type tuple"):
        checkpoint.save(tmp_path / "a.pth", {(1, 2): 0})
    assert names(tmp_path) == []


def test_side_file_is_the_standard_checksum(tmp_path):
    save_epochs(tmp_path, 1)
    save_epochs(tmp_path, 1)
    digest = hashlib.sha256((tmp_path / "epoch_1.pth").read_bytes()).hexdigest()
    assert (tmp_path / "epoch_1.pth.sha256").read_text() == f"{digest}  epoch_1.pth\n"


# -- crashes ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("crash_at", [1, 2, 3])
def test_crash_while_replacing_leaves_the_old_one_valid(tmp_path, monkeypatch, crash_at):
    """Overwriting renames three times (checksums, data, checksum); none of them may be the one that must not fail."""
    checkpoint.save(tmp_path / "best.pth", content(1))
    real, calls = os.replace, itertools.count(1)

    def replace(source, target):
        if next(calls) == crash_at:
            raise OSError(5, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match=r"cannot write .*best\.pth"):
        checkpoint.save(tmp_path / "best.pth", content(2))
    assert checkpoint.load(tmp_path / "best.pth")["meta"]["epoch"] == (2 if crash_at == 3 else 1)
    assert names(tmp_path) == ["best.pth", "best.pth.sha256"]


@pytest.mark.parametrize("crash_at", [1, 2])
def test_crash_while_saving_a_new_one_leaves_nothing_of_it(tmp_path, monkeypatch, crash_at):
    save_epochs(tmp_path, 1)
    before, real, calls = names(tmp_path), os.replace, itertools.count(1)

    def replace(source, target):
        if next(calls) == crash_at:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        save_epochs(tmp_path, 2)
    assert names(tmp_path) == before
    assert run_checkpoints.newest_valid(tmp_path).name == "epoch_1.pth"


def save_for_ever(folder, done):
    for epoch in itertools.count(done.value + 1):
        checkpoint.save(folder / f"epoch_{epoch}.pth", content(epoch, size=200_000))
        checkpoint.save(folder / "best.pth", content(epoch, size=200_000))
        run_checkpoints.prune(folder, 2)
        done.value = epoch


def test_kill_9_at_any_moment_loses_nothing(tmp_path):
    done = fork.Value("i", 0)
    moments = torch.rand(12, generator=torch.Generator().manual_seed(0)).tolist()
    for moment in moments:
        before = done.value
        child = fork.Process(target=save_for_ever, args=(tmp_path, done), daemon=True)
        child.start()
        deadline = time.monotonic() + 60
        while done.value == before and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(moment / 20)
        child.kill()
        child.join()
        assert done.value > before
        best = checkpoint.load(tmp_path / "best.pth")
        resumed = run_checkpoints.newest_valid(tmp_path)
        run_checkpoints.set_aside(tmp_path, resumed, pytest.fail)
        newest = checkpoint.load(resumed)
        for actual in (best, newest):
            assert actual["meta"]["epoch"] in (done.value, done.value + 1)
            assert torch.equal(actual["state_dict"]["weight"], torch.full((200_000,), float(actual["meta"]["epoch"])))
        assert not [name for name in names(tmp_path) if name.endswith((".tmp", ".corrupt"))]
        assert len(names(tmp_path)) <= 2 * 4  # best, two kept, one saved and not yet pruned, with their side files


def save_with_little_room(folder, pipe):
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
    try:
        checkpoint.save(folder / "epoch_2.pth", content(2, size=100_000))
    except OSError as error:
        pipe.send(str(error))
    else:
        pipe.send("")


def test_full_disk_names_path_and_size_and_leaves_no_half_file(tmp_path):
    save_epochs(tmp_path, 1)
    before = names(tmp_path)
    here, there = fork.Pipe()
    child = fork.Process(target=save_with_little_room, args=(tmp_path, there))
    child.start()
    assert here.poll(60)
    message = here.recv()
    child.join()
    assert str(tmp_path / "epoch_2.pth") in message and "File too large" in message
    assert 400_000 < int(message.split("(")[1].split()[0]) < 500_000
    assert names(tmp_path) == before
    assert run_checkpoints.newest_valid(tmp_path).name == "epoch_1.pth"


def test_device_without_space_is_an_os_error(tmp_path):
    (tmp_path / "epoch_2.pth.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"epoch_2\.pth .*No space left"):
        checkpoint.save(tmp_path / "epoch_2.pth", content(2))
    assert names(tmp_path) == []


def test_missing_folder_is_an_os_error_naming_it(tmp_path):
    with pytest.raises(OSError, match="no such folder"):
        checkpoint.save(tmp_path / "none" / "epoch_1.pth", content(1))


# -- damage ----------------------------------------------------------------------------------------------------

def truncate(path):
    path.write_bytes(path.read_bytes()[:-path.stat().st_size // 2])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(path):
    path.write_bytes(b"")


DAMAGES = [truncate, flip, empty]


@pytest.mark.parametrize("side", [True, False])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_noticed_with_and_without_side_file(tmp_path, damage, side):
    save_epochs(tmp_path, 1)
    damage(tmp_path / "epoch_1.pth")
    if not side:
        (tmp_path / "epoch_1.pth.sha256").unlink()
    with pytest.raises(ValueError, match=r"epoch_1\.pth is damaged.*older checkpoint"):
        checkpoint.load(tmp_path / "epoch_1.pth")


def test_any_single_flipped_bit_is_noticed(tmp_path):
    save_epochs(tmp_path, 1)
    path = tmp_path / "epoch_1.pth"
    whole = path.read_bytes()
    for place in range(0, len(whole), 97):
        data = bytearray(whole)
        data[place] ^= 1 << place % 8
        with pytest.raises(ValueError, match="damaged"):
            checkpoint.verify(path, bytes(data))
    checkpoint.verify(path, whole)


@pytest.mark.parametrize("damage", DAMAGES)
def test_next_older_is_taken_and_the_damaged_one_reported(tmp_path, damage):
    save_epochs(tmp_path, 1, 2, 3)
    damage(tmp_path / "epoch_3.pth")
    reports = []
    assert run_checkpoints.newest_valid(tmp_path, reports.append).name == "epoch_2.pth"
    assert len(reports) == 1 and "epoch_3.pth is damaged" in reports[0]
    assert "epoch_3.pth" in names(tmp_path), "looking touches nothing"
    run_checkpoints.set_aside(tmp_path, tmp_path / "epoch_2.pth", reports.append)
    assert len(reports) == 2 and "epoch_3.pth.corrupt" in reports[1]
    assert "epoch_3.pth.corrupt" in names(tmp_path) and "epoch_3.pth" not in names(tmp_path)
    assert run_checkpoints.newest_valid(tmp_path, reports.append).name == "epoch_2.pth" and len(reports) == 2


def test_without_a_logger_damage_is_a_warning(tmp_path):
    save_epochs(tmp_path, 1, 2)
    truncate(tmp_path / "epoch_2.pth")
    with pytest.warns(UserWarning, match="epoch_2.pth is damaged"):
        run_checkpoints.newest_valid(tmp_path)


def test_never_a_silent_restart(tmp_path):
    save_epochs(tmp_path, 1, 2)
    for path in tmp_path.glob("*.pth"):
        flip(path)
    for _ in range(2):  # the second start must not forget that there was a run
        with pytest.raises(ValueError, match=r"no valid checkpoint left, only epoch_1\.pth(\.corrupt)?, epoch_2"):
            run_checkpoints.newest_valid(tmp_path, lambda message: None)
        for path in tmp_path.glob("*.pth"):  # as an earlier start may have done
            path.rename(f"{path}.corrupt")


def test_new_work_dir_has_nothing_to_resume(tmp_path):
    assert run_checkpoints.newest_valid(tmp_path) is None
    checkpoint.save(tmp_path / "best.pth", content(1))
    (tmp_path / "epoch_1.pth.tmp").write_bytes(b"half")
    (tmp_path / "epoch_1.pth.sha256").write_text("of a save that crashed")
    assert run_checkpoints.newest_valid(tmp_path) is None
    run_checkpoints.set_aside(tmp_path, None, pytest.fail)
    assert names(tmp_path) == ["best.pth", "best.pth.sha256"]


# -- order and retention ---------------------------------------------------------------------------------------

def test_newest_is_by_progress_not_by_time_or_text(tmp_path):
    for age, name, state in [(0, "epoch_10.pth", content(10)), (1, "epoch_9.pth", content(9)),
                             (2, "iter_99.pth", content(9, 99)), (3, "iter_103.pth", content(10, 103))]:
        checkpoint.save(tmp_path / name, state)
        os.utime(tmp_path / name, (10**9 + 1000 * (age if age < 3 else -1),) * 2)
    for expected in ("iter_103.pth", "epoch_10.pth", "iter_99.pth", "epoch_9.pth"):
        actual = run_checkpoints.newest_valid(tmp_path)
        assert actual.name == expected
        actual.unlink()
    assert run_checkpoints.newest_valid(tmp_path) is None


def test_prune_keeps_the_newest_and_the_best(tmp_path):
    save_epochs(tmp_path, 8, 9, 10, 11)
    checkpoint.save(tmp_path / "iter_115.pth", content(11, 115))
    checkpoint.save(tmp_path / "best.pth", content(1))
    checkpoint.save(tmp_path / "best_ema.pth", content(1))
    run_checkpoints.prune(tmp_path, 2)
    assert [n for n in names(tmp_path) if n.endswith(".pth")] == ["best.pth", "best_ema.pth", "epoch_11.pth",
                                                                  "iter_115.pth"]
    assert len(names(tmp_path)) == 8  # side files went with theirs
    with pytest.raises(ValueError, match="at least one"):
        run_checkpoints.prune(tmp_path, 0)


def test_prune_does_not_count_what_cannot_be_read(tmp_path):
    save_epochs(tmp_path, 1, 2)
    truncate(tmp_path / "epoch_2.pth")
    run_checkpoints.prune(tmp_path, 1)
    assert {"epoch_1.pth", "epoch_2.pth"} <= set(names(tmp_path))


# -- malice and other people's files ---------------------------------------------------------------------------

class Malice:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_malicious_file_is_refused_and_not_executed(tmp_path, form):
    path, bad = tmp_path / "epoch_1.pth", dict(state_dict=Malice(tmp_path / "marker"))
    if form == "pickle":
        path.write_bytes(pickle.dumps(bad, protocol=2))
    else:
        torch.save(bad, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(ValueError, match=r"refused.*Nothing of it was executed"):
        checkpoint.load(path)
    with pytest.raises(ValueError, match="refused"):
        checkpoint.weights(path)
    with pytest.raises(ValueError, match="no valid checkpoint left"):
        run_checkpoints.newest_valid(tmp_path, lambda message: None)
    assert not (tmp_path / "marker").exists()
    with contextlib.suppress(RuntimeError):  # a bare pickle is none of torch's forms, but runs before that is seen
        torch.load(tmp_path / "epoch_1.pth", weights_only=False)
    assert (tmp_path / "marker").exists()  # the file is what it claims to be


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        checkpoint.load(tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("<html>404 not found</html>")
    with pytest.raises(ValueError, match="text.pth"):
        checkpoint.load(tmp_path / "text.pth")
    with zipfile.ZipFile(tmp_path / "zip.pth", "w") as archive:
        archive.writestr("a.txt", "hello")
    with pytest.raises(ValueError, match="no checkpoint that torch can read"):
        checkpoint.load(tmp_path / "zip.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="holds a list"):
        checkpoint.load(tmp_path / "list.pth")


def test_no_memory_is_not_damage(tmp_path, monkeypatch):
    save_epochs(tmp_path, 1)

    def broke(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(torch, "load", broke)
    with pytest.raises(RuntimeError, match="allocate"):
        run_checkpoints.newest_valid(tmp_path)
    assert (tmp_path / "epoch_1.pth").exists()


@pytest.mark.parametrize("wrap", [
    lambda w: w, lambda w: dict(state_dict=w, meta=dict(epoch=1)), lambda w: dict(model=w, epoch=3),
    lambda w: {f"module.{k}": v for k, v in w.items()},
    lambda w: dict(state_dict={f"module._orig_mod.{k}": v for k, v in w.items()})])
def test_weights_of_anybody(tmp_path, wrap):
    expected = dict(torch.nn.BatchNorm1d(3).state_dict())
    torch.save(wrap(expected), tmp_path / "a.pth")
    actual = checkpoint.weights(tmp_path / "a.pth")
    assert actual.keys() == expected.keys()
    torch.testing.assert_close(actual, expected)
    assert checkpoint.weights(checkpoint.load(tmp_path / "a.pth")).keys() == expected.keys()


@pytest.mark.parametrize("none", [{}, dict(epoch=3), dict(state_dict={}), dict(state_dict=dict(a=1))])
def test_no_weights_is_a_clear_error(none):
    with pytest.raises(ValueError, match="no weights found"):
        checkpoint.weights(none)


def test_lock_and_checkpoints_share_a_folder(tmp_path):
    with workdir.Lock(tmp_path):
        save_epochs(tmp_path, 1)
        assert run_checkpoints.newest_valid(tmp_path).name == "epoch_1.pth"


def test_a_lock_that_cannot_be_written_is_let_go(tmp_path, monkeypatch):
    def full(self, text):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space") as kept:
        patch.setattr(workdir.Lock, "_note", full)
        workdir.Lock(tmp_path)
    assert kept.tb, "a notebook keeps the traceback, and with it what the frames hold"
    workdir.Lock(tmp_path).release()
