import subprocess
import sys

import numpy as np

from openmix.engine.runner import Runner
from tests.engine.tiny import ROOT, config

TRAIN = """
import sys
from openmix.engine.runner import Runner
from tests.engine.tiny import config
Runner.from_cfg(config(sys.argv[1], epochs=1)).train()
print([name for name in ("matplotlib", "tensorboard") if name in sys.modules])
"""


def test_a_training_imports_nothing_to_draw_with(tmp_path):
    done = subprocess.run([sys.executable, "-c", TRAIN, str(tmp_path)], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_what_is_drawn_on_an_image_is_in_it(tmp_path):
    visualizer = Runner.from_cfg(config(tmp_path)).visualizer
    visualizer.set_image(np.zeros((40, 40, 3), np.uint8))
    visualizer.draw_bboxes(np.array([[10, 10, 30, 30]]), edge_colors="r")
    drawn = visualizer.get_image()
    assert drawn[20, 20].sum() == 0 and drawn[9:12, 20, 0].max() > 200
