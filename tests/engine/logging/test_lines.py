"""Log lines of ours are mmengine's."""
import json

import pytest
from mmengine.runner import LogProcessor

from openmix.engine.logging.lines import LocalVisBackend, is_plain
from tests.engine.tiny import config, train


@pytest.mark.parametrize("method", ["MixUp", "AutoMix"])
def test_lines_and_scalars_are_those_of_mmengine(tmp_path, method, monkeypatch):
    pairs = []

    def both(runner, batch_idx, scalars):
        assert is_plain(runner.log_processor)
        ours, line = original(runner, batch_idx, scalars)
        pairs.append(((ours, line), runner.log_processor.get_log_after_iter(runner, batch_idx, "train")))
        return ours, line

    from openmix.engine import hooks

    original = hooks.train_line
    monkeypatch.setattr(hooks, "train_line", both)
    train(config(tmp_path, mixup=method, epochs=11))
    assert len(pairs) == 22
    for (ours, line), (theirs, expected) in pairs:
        assert line == expected and {k: float(v) for k, v in ours.items()} == pytest.approx(theirs)


def test_an_evaluation_with_a_limit_counts_its_own_batches_and_names_its_data(tmp_path):
    train(config(tmp_path, epochs=1, **{"val_cfg.limit": 2}))
    log = next(tmp_path.glob("*/*.log")).read_text()
    assert "Epoch(val) [1][2/2]" in log and "[3/3]" not in log
    assert "validating on " in log and "split test, 23 images of 10 classes" in log


def test_another_form_that_a_config_asks_for_is_left_to_mmengine():
    assert is_plain(LogProcessor(window_size=1, num_digits=2))
    assert not is_plain(LogProcessor(by_epoch=False)) and not is_plain(LogProcessor(log_with_hierarchy=True))
    assert not is_plain(LogProcessor(custom_cfg=[dict(data_src="loss", method_name="mean", window_size=5)]))


def test_scalars_are_on_disk_after_each_line_and_appended_to(tmp_path):
    for start in (0, 2):
        backend = LocalVisBackend(str(tmp_path))
        for step in (start, start + 1):
            backend.add_scalars(dict(loss=0.5), step=step)
            lines = next(tmp_path.rglob("scalars.json")).read_text().splitlines()
            assert [json.loads(line)["step"] for line in lines] == list(range(step + 1))
        backend.close()
