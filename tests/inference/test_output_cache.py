"""Stored logits of a teacher: read bit by bit for the same batch and network, for no other; by several processes."""
import multiprocessing
import sqlite3

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode

from openmix.errors import InputError
from openmix.inference.output_cache import OutputCache, batch_key
from openmix.inference.teacher import Teacher
from openmix.mixups import Distill, ManifoldMix
from openmix.models import build_net
from openmix.workdir.identity import config_hash
from tests.engine.tiny import config, losses, teacher, train

SMALL = dict(type="CifarResNet", depth=8)


@pytest.fixture
def make(tmp_path):
    """``make(seed, **options)``: a teacher that stores its logits, and counts its passes in ``passes``."""
    def build(seed=0, **options):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = build_net(SMALL, num_classes=4)
            nn.init.normal_(net.head.fc.weight)
        torch.save(net.state_dict(), tmp_path / f"net{seed}.pth")
        made = Teacher(SMALL, num_classes=4, checkpoint=tmp_path / f"net{seed}.pth",
                       **dict(cache=str(tmp_path / "cache")) | options)
        made.passes = []
        made.view = lambda images: made.passes.append(len(images)) or images
        return made
    return build


def files(tmp_path):
    return sorted((tmp_path / "cache").glob("*.sqlite"))


def test_a_batch_that_was_seen_is_read_and_equal_bit_by_bit(make, tmp_path):
    images, other = torch.randn(40, 3, 16, 16), torch.randn(40, 3, 16, 16)
    first, second = make(), make()
    plain = make(cache=None).outputs(images)
    assert torch.equal(first.outputs(images), plain) and first.passes == [40]
    assert torch.equal(second.outputs(images), plain) and torch.equal(first.outputs(images), plain)
    assert second.passes == [] and first.passes == [40]
    assert not torch.equal(second.outputs(other), plain) and second.passes == [40]
    assert len(files(tmp_path)) == 1


def test_other_weights_or_another_normalisation_have_a_file_of_their_own(make, tmp_path):
    images = torch.randn(4, 3, 16, 16)
    seen = dict(seen_mean=(0.5, 0.5, 0.5), seen_std=(0.2, 0.2, 0.2))
    for made in (make(), make(1), make(mean=(0.4, 0.5, 0.5), std=(0.2, 0.2, 0.2), **seen), make(size=24)):
        made.outputs(images)
        assert made.passes == [4]
    assert len(files(tmp_path)) == 4


def test_the_key_of_a_batch_depends_on_values_order_layout_and_precision():
    images = torch.randn(3, 3, 8, 8)
    changed = images.clone()
    changed[1, 2, 3, 4] += 1e-6
    keys = [batch_key(images), batch_key(changed), batch_key(images.flip(0)), batch_key(images.double()),
            batch_key(images.contiguous(memory_format=torch.channels_last))]
    with torch.autocast("cpu", torch.bfloat16):
        keys.append(batch_key(images))
    assert len(set(keys)) == 6 and batch_key(images.clone()) == keys[0]


def write(folder, seeds):
    torch.set_num_threads(1)
    made = Teacher(SMALL, num_classes=4, checkpoint=f"{folder}/net.pth", cache=f"{folder}/cache")
    for seed in seeds:
        made.outputs(torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed)))


def test_two_processes_may_write_at_the_same_time(tmp_path):
    torch.save(build_net(SMALL, num_classes=4).state_dict(), tmp_path / "net.pth")
    fork = multiprocessing.get_context("fork")  # starts in no time
    others = [fork.Process(target=write, args=(str(tmp_path), range(k * 20, k * 20 + 40))) for k in range(2)]
    for process in others:
        process.start()
    for process in others:
        process.join()
    assert [process.exitcode for process in others] == [0, 0]
    (file,) = files(tmp_path)
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT COUNT(*) FROM outputs").fetchone() == (60,)


def test_what_cannot_work_is_refused_readably(make, tmp_path):
    images = torch.randn(2, 3, 8, 8)
    with FakeTensorMode(), pytest.raises(InputError, match="for training on CPUs, and the images are on cuda"):
        OutputCache(tmp_path).read(torch.empty(2, 3, 8, 8, device="cuda"), None)
    for options in (dict(hints=[("layer2", "layer2")]), dict(method=ManifoldMix(), hidden="layer")):
        with pytest.raises(ValueError, match="teacher.cache stores logits; hints.*leave it out"):
            Distill(make(), **options)
    made = make()
    made.outputs(images)
    files(tmp_path)[0].write_bytes(b"no data base" * 100)
    with pytest.raises(OSError, match="cannot be read or written.*delete it"):
        make().outputs(images)


def test_a_run_with_stored_logits_is_the_run_without_and_counts_as_it(tmp_path, monkeypatch):
    """Another temperature of the same seed computes nothing, neither does hidden mixing."""
    passes, forward = [], Teacher.forward
    monkeypatch.setattr(Teacher, "forward", lambda self, images: passes.append(1) or forward(self, images))

    def run(name, cache, **options):
        made = dict(type="Distill", teacher=dict(teacher(), **(dict(cache=str(tmp_path / "cache")) if cache else {})),
                    **options)
        cfg = config(tmp_path / name, made, epochs=2, default_hooks=dict(logger=dict(interval=1), preview=None))
        net = train(cfg).model.net
        count = len(passes)
        passes.clear()
        return cfg, losses(tmp_path / name), net.state_dict(), count

    hidden = dict(method=dict(type="ManifoldMix", layers=("layer1", "layer2")))
    plain, first = run("plain", False), run("first", True)
    assert plain[1] == first[1] and all(torch.equal(value, first[2][key]) for key, value in plain[2].items())
    assert config_hash(plain[0]) == config_hash(first[0])
    assert run("again", True, temperature=2.0)[3] == 0 < first[3] == plain[3] == 8
    assert run("hidden", True, **hidden)[1] == run("hidden plain", False, **hidden)[1]
    assert run("hidden again", True, **hidden)[3] == 0
