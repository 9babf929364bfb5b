"""Words that have no place in the device code: they wait for the device, name one, or draw behind its back."""
import subprocess
import sys
import tokenize
from io import StringIO
from pathlib import Path

import pytest

import openmix

ROOT = Path(openmix.__file__).parent
FILES = [*sorted(ROOT.glob("mixups/*.py")), *sorted(ROOT.glob("probes/*.py")), *(ROOT / f"{name}.py" for name in (
    "functional", "saliency", "fine_grained", "attention", "sampling", "plan", "target", "momentum",
    "solvers/gridcut", "solvers/transport"))]
FORBIDDEN = (".item(", ".tolist(", ".cuda(", ".cpu(", ".numpy(", ".backward(", "np.random", "random.seed(",
             "manual_seed(", "nonzero(", ".unique(", "masked_select(", "importnumpy", "fromnumpy", "importmmengine",
             "frommmengine", "importtorchvision", "fromtorchvision")
# host numbers on purpose (choices between programs, seeds of steps); the seed of a generator of one's own; what is on
# the CPU already (functional.paste_box and extremes)
ALLOWED = {"sampling.py": {".tolist(": 1, "manual_seed(": 1}, "plan.py": {".tolist(": 1},
           "functional.py": {".tolist(": 3}}


def words_of(source: str) -> str:
    """The code without comments, strings and white space."""
    skip = (tokenize.COMMENT, tokenize.STRING, tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT)
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    return "".join(token.string for token in tokens if token.type not in skip)


def found_in(source: str) -> dict[str, int]:
    code = words_of(source)
    return {word: code.count(word) for word in FORBIDDEN if word in code}


@pytest.mark.parametrize("path", [path for path in FILES if path.exists()], ids=lambda path: path.name)
def test_device_code_is_free_of_them(path):
    assert found_in(path.read_text()) == ALLOWED.get(path.name, {})


def test_the_search_finds_them_in_code_and_not_in_words():
    wrong = 'def f(x):\n    """Never x.item() or x.cpu()."""\n    # x.cuda()\n    import numpy as np\n    x . item()\n'
    assert found_in(wrong) == {".item(": 1, "importnumpy": 1}


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    return set(done.stdout.split())


def test_importing_openmix_imports_nothing_heavy():
    assert not {"torch", "numpy", "mmengine", "torchvision"} & modules_after("import openmix")


def test_mixing_methods_need_torch_alone():
    modules = modules_after("import openmix; openmix.MixUp; import openmix.mixups, openmix.functional, openmix.probes")
    assert "torch" in modules
    assert not {"mmengine", "mmcv", "torchvision", "timm", "scipy", "cv2"} & modules
