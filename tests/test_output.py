"""A reader that goes away costs the output, and neither the run nor its exit code."""
import io
import json
import logging
import os
import subprocess
import sys

import pytest

from openmix.engine.logging.lines import brief_errors
from openmix.output import UntilClosed, until_closed
from tests.engine.tiny import ROOT, config, dump


def pipe():
    """A text stream into a pipe, and the end to close."""
    here, there = os.pipe()
    return open(there, "w"), here


@pytest.mark.parametrize("late", [False, True], ids=["at once", "what is in the buffer"])
def test_writing_to_a_closed_pipe_leads_nowhere(late):
    stream, end = pipe()
    patient = UntilClosed(stream)
    if late:
        patient.write("before\n")
    os.close(end)
    for _ in range(3):
        assert patient.write("line\n") == 5
        patient.flush()
    stream.close()  # as at exit: nothing is left that could fail


def test_without_it_a_closed_pipe_is_an_error():
    """Negative control."""
    stream, end = pipe()
    os.close(end)
    with pytest.raises(BrokenPipeError):
        print("line", file=stream, flush=True)
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_other_errors_and_other_questions_are_the_streams_own(monkeypatch):
    text = io.StringIO()
    monkeypatch.setattr(sys, "stdout", text)
    with until_closed():
        print("hello")
        assert not sys.stdout.isatty()
    assert sys.stdout is text and text.getvalue() == "hello\n"
    with open("/dev/full", "w") as full, pytest.raises(OSError, match="No space left"):
        UntilClosed(full).write("x" * 100_000)


def test_a_run_whose_reader_goes_ends_as_if_it_had_stayed(tmp_path):
    path = dump(config(tmp_path / "run", epochs=1, custom_hooks=[]), tmp_path / "c.py")
    line = f"{sys.executable} {ROOT}/tools/train.py {path} 2>&1; echo $? > {tmp_path}/code"
    done = subprocess.run(["bash", "-c", f"({line}) | head -1"], capture_output=True, text=True, timeout=200,
                          env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}, cwd=ROOT)
    assert done.stdout.count("\n") == 1 and done.stderr == ""
    assert (tmp_path / "code").read_text() == "0\n"
    assert json.loads((tmp_path / "run/result.json").read_text())["status"] == "done"


def test_a_log_that_cannot_be_written_is_one_line(capsys):
    logger = logging.Logger("full")
    logger.addHandler(logging.FileHandler("/dev/full"))
    brief_errors(logger)
    for _ in range(3):
        logger.warning("a record")
    assert capsys.readouterr().err == "warning: could not write /dev/full: No space left on device\n"
    logger.handlers[0].stream = None  # it would fail again when it is closed
