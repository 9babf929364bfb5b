"""Processes that decode: damaged files, deaths, signals and the end of Python."""
import gc
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from openmix.datasets import ImageFolderData, StreamingLoader
from openmix.datasets.workers import stop_workers
from tests.datasets.test_streaming import CROPS


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("damage", ["truncated", "empty", "gone"])
def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path, workers, damage):
    for name in ("ant", "bee"):
        (tmp_path / "train" / name).mkdir(parents=True)
        for i in range(4):
            noise = np.random.default_rng(i).integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "train" / name / f"{i}.jpg")
    loader = StreamingLoader(ImageFolderData(tmp_path, size=8, resident=False), 2, num_workers=workers, **CROPS)
    path = tmp_path / "train" / "bee" / "2.jpg"
    data = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(data[:len(data) // 2] if damage == "truncated" else b"")
    with pytest.raises(ValueError, match="cannot read the image .*bee/2.jpg .*repair or remove it"):
        list(loader)
    path.write_bytes(data)
    assert len(list(loader)) == 4, "the loader serves the next epoch"


def test_a_worker_that_dies_is_an_error_and_no_hang(make_streaming):
    loader = make_streaming(num_workers=1)
    batches = loader.batches()
    next(batches)
    # torch notices by a signal: whatever Python does at that moment raises
    with pytest.raises(RuntimeError, match="decodes images has died .*num_workers|DataLoader worker .* is killed"):
        os.kill(loader.workers._iterator._workers[0].pid, signal.SIGKILL)
        for epoch in range(10):
            list(batches)
            batches = loader.batches(epoch)
    stop_workers(loader.workers)


def test_signals_are_for_the_main_process(make_streaming):
    loader = make_streaming(num_workers=1)
    next(loader.batches())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        os.kill(loader.workers._iterator._workers[0].pid, number)
    assert len(list(loader.batches(1))) == 6


def test_python_exits_though_workers_still_run(pictures):
    program = f"""if True:
        from openmix.datasets import ImageFolderData, StreamingLoader, workers
        workers.GRACE = 3600
        loader = StreamingLoader(ImageFolderData({str(pictures)!r}, size=16, resident=False), 4, num_workers=2)
        batches = loader.batches()
        print(len(next(batches)[0]))
        """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr


def test_a_loader_that_is_garbage_takes_its_workers_along_at_once(make_streaming):
    loader = make_streaming(num_workers=2)
    assert len(list(loader.batches())) == 6
    processes = loader.workers._iterator._workers
    loader.cycle = [loader]  # as the objects of a run refer to each other
    del loader
    start = time.monotonic()
    gc.collect()
    assert time.monotonic() - start < 4, "torch waits five seconds or ten for each worker that nobody asked to end"
    assert not any(process.is_alive() for process in processes)


def test_a_loader_left_in_the_middle_of_an_epoch_takes_its_workers_along(make_streaming):
    loader = make_streaming(num_workers=1)
    batches = loader.batches()
    next(batches)
    processes = loader.workers._iterator._workers
    del loader, batches
    gc.collect()
    assert not any(process.is_alive() for process in processes)


def test_a_forked_process_leaves_the_workers_of_its_parent_alone(make_streaming):
    loader = make_streaming(num_workers=1)
    next(loader.batches())
    child = os.fork()
    if child == 0:
        stop_workers(loader.workers, os.getppid())
        os._exit(loader.workers._iterator._shutdown)
    assert os.waitpid(child, 0)[1] == 0 and len(list(loader.batches(1))) == 6


def test_a_loader_that_is_closed_ends_its_workers_and_starts_others_when_asked(make_streaming):
    loader = make_streaming(num_workers=1)
    before = [images for images, *_ in loader.batches(1)]
    processes = loader.workers._iterator._workers
    loader.close()
    loader.close()
    assert not any(process.is_alive() for process in processes)
    assert all(map(torch.equal, before, [images for images, *_ in loader.batches(1)]))
