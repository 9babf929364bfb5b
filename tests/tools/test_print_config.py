"""tools/print_config.py: the config that a run would read."""
from pathlib import Path

from mmengine.config import Config

from openmix.engine.config.load import load_config
from openmix.workdir import config_hash
from tests import forked

ROOT = Path(__file__).resolve().parents[2]


def tool(*arguments):
    return forked.run(ROOT / "tools" / "print_config.py", *arguments, cwd=ROOT)


def test_what_is_printed_is_a_config_with_the_options_in_it(tmp_path):
    done = tool("configs/shapes/r20_mixup.py", "--seed", "4", "--cfg-options", "model.mixup.alpha=0.3")
    assert done.returncode == 0, done.stderr
    (tmp_path / "printed.py").write_text(done.stdout)
    printed = Config.fromfile(str(tmp_path / "printed.py"))
    assert printed.model.mixup == dict(type="MixUp", alpha=0.3) and printed.randomness.seed == 4
    assert printed.train_dataloader == load_config(ROOT / "configs/shapes/r20_mixup.py").train_dataloader
    assert done.stdout.endswith(f"# config hash {config_hash(printed)}\n")


def test_a_wrong_key_ends_with_2_and_the_nearest_one():
    done = tool("configs/shapes/r20_mixup.py", "--cfg-options", "model.mixup.alhpa=0.3")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "did you mean 'alpha'" in done.stderr
