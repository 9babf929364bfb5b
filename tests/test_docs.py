"""The documents are right: Python runs, command lines are understood, names and links exist, the language is plain.

A Python block whose first line is a comment with a path (``# my_configs/warmup.py``) is that file: it is written into
a folder where the document's other blocks and commands find it, and a config among them is read and checked. The other
blocks of a document run in order, in one namespace.
"""
import argparse
import ast
import contextlib
import inspect
import os
import re
import runpy
import shlex
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch

from openmix import evaluators
from openmix.cli import ACTIONS, COMMANDS
from openmix.cli import train as cli
from openmix.engine import eval_loop as evaluation
from openmix.engine import hooks
from openmix.engine import train_loop as loops
from openmix.engine.config import check as rules
from openmix.engine.config import command_line
from openmix.engine.config.load import load_config
from openmix.engine.hooks import DEFAULT_HOOKS
from openmix.engine.optim import optimizers as optim
from openmix.engine.optim import schedules
from openmix.registry import BACKBONES, DATASETS, EVALUATORS, HOOKS, LOSSES, MIXUPS
from tests import forked

REGISTRIES = (BACKBONES, DATASETS, EVALUATORS, HOOKS, LOSSES, MIXUPS)
ROOT = Path(__file__).resolve().parent.parent
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKED = [*DOCS, *sorted((ROOT / "configs").glob("*/README.md"))]  # documents whose links are checked
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
FILE = re.compile(r"# ([\w/]+\.py)\n")
FOLDERS = ("openmix", "configs", "tools", "tests", "docs", "benchmarks")


def documents(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.relative_to(ROOT).as_posix())


def blocks(path: Path, language: str) -> list[str]:
    return [code for actual, code in FENCE.findall(path.read_text()) if actual == language]


def files(path: Path) -> dict[str, str]:
    """The files that a document shows whole."""
    return {match[1]: code for code in blocks(path, "python") if (match := FILE.match(code))}


each = documents(DOCS)
each_with_python = documents([path for path in DOCS if set(blocks(path, "python")) - set(files(path).values())])
each_with_configs = documents([path for path in DOCS if any("_base_" in code for code in files(path).values())])
each_with_commands = documents([path for path in DOCS if blocks(path, "bash")])


def prose(path: Path) -> str:
    return FENCE.sub("", path.read_text())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the repository's folders, where a document's own files may be added."""
    for name in FOLDERS:
        if name != "configs":
            (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "configs").mkdir()
    for child in (ROOT / "configs").iterdir():
        (tmp_path / "configs" / child.name).symlink_to(child)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    modules, names = set(sys.modules), {registry: set(registry.known()) for registry in REGISTRIES}
    yield tmp_path
    for name in set(sys.modules) - modules:
        if name.startswith("my_"):
            del sys.modules[name]
    for registry, before in names.items():  # other tests are not to see the parts of the documents
        for name in set(registry.known()) - before:
            del registry._module_dict[name]


def write_files(path: Path, folder: Path) -> None:
    for name, code in files(path).items():
        if (ROOT / name).exists():
            shown, real = code.split("\n", 1)[1], (ROOT / name).read_text()
            assert shown == real, f"{path.name} shows {name} otherwise than it is"
        else:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(code)


# -- Python ---------------------------------------------------------------------------------------------------------


@each_with_python
def test_python_blocks_run_in_order(path, folder):
    write_files(path, folder)
    namespace = dict(__name__="__docs__")
    torch.manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        for i, code in enumerate(blocks(path, "python")):
            if not FILE.match(code):
                exec(compile(code, f"{path.name}, Python block {i + 1}", "exec"), namespace)


@each_with_configs
def test_configs_shown_are_right(path, folder, monkeypatch):
    monkeypatch.setattr(rules, "TRACKERS", {})  # trackers need not be installed to be shown
    write_files(path, folder)
    for name, code in files(path).items():
        if "_base_" in code:
            cfg = load_config(name)
            cfg.setdefault("work_dir", "work_dirs/x")
            rules.check_config(cfg)


# -- command lines --------------------------------------------------------------------------------------------------


def commands(path: Path) -> list[list[str]]:
    lines = "\n".join(blocks(path, "bash")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


TOOLS = dict(model_zoo="zoo", publish_model="publish", prepare_data="data", print_config="config")


def understand(words: list[str]) -> None:
    """Raise (SystemExit from argparse, ValueError ...) for a command line that would be refused before it trains."""
    while re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    if words[0] == "pip" or words == ["source", ".venv/bin/activate"]:  # as tools/quickstart.sh creates it
        return
    if words[:2] == ["python", "-c"]:
        exec(compile(words[2], "a command line", "exec"), dict(__name__="__docs__"))
        return
    if words[:3] == ["python", "-m", "pytest"]:
        words = ["bash", "tools/run_tests.sh", *words[3:]]
    if words[:3] == ["python", "-m", "openmix"]:
        words = words[2:]
    if words[0] == "openmix":
        return understand_command(words[1], words[2:])
    assert words[0] in ("bash", "python") and Path(words[1]).is_file(), f"no such command: {' '.join(words)}"
    script, rest = Path(words[1]).name, words[2:]
    if script == "slurm_train.sh":
        script, rest = "dist_train.sh", rest[2:]
    if script in ("dist_train.sh", "dist_test.sh"):
        script, rest = script[5:].replace(".sh", ".py"), [rest[0], *rest[2:], "--gpus", rest[1]]
    if "\ndef make_parser()" in Path(words[1]).read_text():  # no part of the command openmix
        runpy.run_path(words[1])["make_parser"]().parse_args(rest)
    elif words[1].startswith("tools/") and script.endswith(".py"):
        command = script.removesuffix(".py")
        understand_command(TOOLS.get(command, command), rest)
    elif words[1] == "tests/browser/run.sh":
        assert not rest
    elif script == "build_docs.sh":
        assert rest in ([], ["--links"])
    elif script == "run_tests.sh":
        missing = [word for word in rest if word.endswith(".py") and not Path(word).is_file()]
        assert not missing, f"no such tests: {missing}"
    else:
        assert script == "quickstart.sh", f"{script} is not checked here"


def understand_command(command: str, rest: list[str]) -> None:
    """The same of ``openmix COMMAND REST``."""
    if command in ("--help", "--version"):
        return
    assert command in COMMANDS, f"no such command: {command}"
    if rest and rest[0] == ACTIONS.get(command):
        rest = rest[1:]
    args = import_module(f"openmix.cli.{command}").make_parser().parse_args(rest)
    if command in ("train", "test"):
        for word in rest:
            if word.endswith(".pth"):  # a checkpoint that a run would have left there
                Path(word).parent.mkdir(parents=True, exist_ok=True)
                Path(word).touch()
        assert args.gpus is None or args.gpus > 0
        command_line.configure(args)
    elif command == "sweep":
        from openmix.paths import find_grid
        from openmix.sweep.grid import read_grid

        read_grid(find_grid(args.grid))


@each_with_commands
def test_command_lines_are_understood(path, folder):
    write_files(path, folder)
    for words in commands(path):
        understand(words)


@pytest.mark.parametrize("line", [
    "python tools/train.py configs/cifar100/r18_mixup.py --epochs 3", "python tools/trian.py x.py", "make train",
    "bash tools/dist_train.sh 4 configs/cifar100/r18_mixup.py", "python tools/train.py configs/cifar100/r18_nomix.py",
    "python tools/train.py configs/cifar100/r18_mixup.py --cfg-options model.mixup.alhpa=1", "openmix trian x",
    "openmix train cifar100/r18_nomix", "openmix list mixup", "openmix sweep run shaeps"])
def test_wrong_command_lines_are_noticed(line, folder, capsys):
    with pytest.raises((SystemExit, AssertionError, ValueError, FileNotFoundError)):
        understand(shlex.split(line))


def test_the_method_of_the_example_passes_its_test_and_the_contract(folder):
    path = ROOT / "docs" / "how_to" / "add_a_method.md"
    write_files(path, folder)
    (words,) = [words for words in commands(path) if "pytest" in words]
    words = [str(folder / w) if w.startswith("my_") and "/" in w else w for w in words[words.index("python") + 1:]]
    own = {name: None for name in os.environ if name.startswith("PYTEST")}
    done = forked.run(*words, "-p", "no:cacheprovider", cwd=ROOT, PYTHONPATH=str(folder), **own)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])
    assert passed > 30, "the contract tests did not take the method up"


# -- what is named --------------------------------------------------------------------------------------------------


def expand(name: str) -> list[str]:
    """``a/{b,c}.py`` as the shell reads it."""
    match = re.search(r"\{([^}]*)\}", name)
    return [name] if not match else [actual for part in match[1].split(",")
                                     for actual in expand(name[:match.start()] + part + name[match.end():])]


def named_files(path: Path) -> list[str]:
    """Repository paths in the prose and on command lines; paths with a ``<part>`` to fill in are patterns."""
    inline = re.findall(r"`([^`\n]+)`", prose(path))
    fenced = [word for _, code in FENCE.findall(path.read_text()) for word in re.findall(r"[\w./*-]+", code)]
    return [name for word in [*inline, *fenced] for name in expand(word)
            if re.fullmatch(rf"({'|'.join(FOLDERS)})/[\w./<>*-]*", name)]


@each
def test_files_named_exist(path):
    own = files(path)
    for name in named_files(path):
        pattern = re.sub(r"<\w+>", "*", name)
        assert name in own or any(ROOT.glob(pattern)), f"{path.name} names {name}, which does not exist"


@each
def test_modules_and_names_exist(path):
    for name in re.findall(r"`(openmix(?:\.\w+)+)", prose(path)):
        *parts, last = name.split(".")
        with contextlib.suppress(ImportError):
            import_module(name)
            continue
        assert hasattr(import_module(".".join(parts)), last), f"{path.name} names {name}, which does not exist"


def anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", prose(path), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@documents(LINKED)
def test_relative_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if not link.startswith("https://"):
            target, _, anchor = link.partition("#")
            actual = (path.parent / target).resolve() if target else path
            assert actual.is_file(), f"{path.name}: {link}"
            assert not anchor or anchor in anchors(actual), f"{path.name}: {link}"


# -- what is listed is all there is ---------------------------------------------------------------------------------


def rows(path: Path, title: str) -> list[list[str]]:
    """The cells of the table under a title, without its head."""
    section = prose(path).split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_readme_lists_every_method_with_its_needs_and_the_configs_every_backbone():
    listed = {name: cells[0].strip("`") for cells in rows(ROOT / "README.md", "Methods")
              for name in re.findall(r"`(\w+)`", cells[2])}
    assert listed == {name: MIXUPS.get(name).needs for name in MIXUPS.known()}
    papers = {cells[0].strip("`"): cells[2] for cells in rows(ROOT / "docs" / "reference" / "methods.md", "Papers")}
    assert papers == listed
    configs = ROOT / "docs" / "reference" / "configs.md"
    backbones = [name.strip("`") for cells in rows(configs, "Backbones") for name in cells[0].split(", ")]
    assert sorted(backbones) == sorted(BACKBONES.known())


IN_PYTHON = {"ArrayData", "Arrays"}  # data sets that are made of tensors, not by a config


def parameters(function) -> set[str]:
    return set(inspect.signature(function).parameters) - {"self", "runner", "dataloader", "evaluator", "length", "base"}


def test_every_config_key_is_described():
    text = prose(ROOT / "docs" / "reference" / "configs.md")
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", text))))
    keys = {*rules.TOP_LEVEL, *set().union(*rules.LOADER_KEYS.values()), *rules.AUGMENT_KEYS, *rules.ENV_VALUES,
            *rules.MODEL_PARTS, *optim.WRAPPER_KEYS, *optim.PARAMWISE_KEYS, *schedules.SCHEDULES, *DEFAULT_HOOKS,
            *hooks.__all__, *loops.__all__, *evaluation.__all__, *LOSSES.known(), *BACKBONES.known(),
            *(set(evaluators.__all__) - {"TopK"}),  # (its old name)
            *(name for name in DATASETS.known() if name not in IN_PYTHON
              and DATASETS.get(name).__module__.startswith("openmix."))}  # (other tests register some of their own)
    own_hooks = [hook for name in hooks.__all__ if "__init__" in vars(hook := getattr(hooks, name))]
    for function in (loops.EpochLoop, evaluation.EvalLoop, *own_hooks, *schedules.SCHEDULES.values(),
                     *(getattr(evaluators, name) for name in evaluators.__all__)):
        keys |= parameters(function)
    assert keys - words == set(), "docs/reference/configs.md does not describe these"


def flags(parser: argparse.ArgumentParser) -> set[str]:
    """The flags of a parser and of its commands, without those that ``--help`` hides."""
    own = {action.option_strings[0] for action in parser._actions
           if action.option_strings and action.help != argparse.SUPPRESS}
    commands = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return own.union(*(flags(p) for action in commands for p in action.choices.values())) - {"-h"}


ON_OTHER_PAGES = dict(zoo="model_zoo.md", publish="../how_to/use_weights.md", infer="../how_to/use_weights.md",
                      **dict.fromkeys(["compare", "report", "rerun"], "../how_to/report.md"))


@pytest.mark.parametrize("command", sorted({*COMMANDS} - {*ACTIONS, "list", "doctor"} | {"train", "test"}))
def test_every_flag_of_a_command_is_described(command):
    text = (ROOT / "docs" / "reference" / ON_OTHER_PAGES.get(command, "command_line.md")).read_text()
    if command in ("train", "test"):
        parser = (cli.train_parser if command == "train" else cli.test_parser)(argparse.ArgumentParser())
    else:
        parser = import_module(f"openmix.cli.{command}").make_parser()
    known = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", text))
    assert flags(parser) - known == set()


def test_the_picture_of_the_architecture_shows_every_package():
    (picture,) = blocks(ROOT / "docs" / "explanation" / "architecture.md", "mermaid")
    package = ROOT / "openmix"
    packages = {path.parent.name for path in package.glob("*/__init__.py")}
    assert packages - set(re.findall(r"\w+", picture)) == set()


def test_files_of_documents_that_code_names_exist():
    code = [path for folder in ("openmix", "tools", "configs", "benchmarks") for path in (ROOT / folder).rglob("*")
            if path.suffix in (".py", ".sh", ".md")]
    named = {(path.relative_to(ROOT).as_posix(), name) for path in code
             for name in re.findall(r"(?<![\w/])docs/[\w/]+\.md", path.read_text())}
    assert named, "nothing was looked at"
    assert {(path, name) for path, name in named if not (ROOT / name).is_file()} == set()


def test_tables_between_markers_are_looked_for_in_all_folders_of_documents():
    from openmix.results.documents import find_documents

    marked = [path for path in LINKED if re.search("^<!-- zoo:(?!NAME)", prose(path), re.M)]
    assert ROOT / "docs" / "reference" / "model_zoo.md" in marked
    assert set(marked) <= set(find_documents(ROOT))


# -- language -------------------------------------------------------------------------------------------------------

UNCLEAR = re.compile(r"\b(told|found|tells|lies|says?|said|stands?|stood|places?|doors?|whoever|reckoned)\b", re.I)
PACKAGES = sorted({path.parent.name for path in (ROOT / "openmix").glob("*/__init__.py")})


def sentences(text: str) -> list[str]:
    """The sentences of paragraphs and lists; code counts as one word, tables, their captions and titles do not."""
    text = re.sub(r"<!-- zoo:(\S+) begin -->.*?<!-- zoo:\1 end -->", "", text, flags=re.S)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"`[^`]*`", "code", text)
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    text = text.replace("e.g.", "eg").replace("i.e.", "ie").replace(" ...", "")
    lines = ["" if line.startswith(("|", "#")) else line for line in text.splitlines()]
    paragraphs = re.split(r"\n\s*\n|\n(?=\s*(?:[*-]|\d+\.)\s)", "\n".join(lines))
    actual = [sentence for paragraph in paragraphs for sentence in re.split(r"(?<=[.!?])\**\s+", paragraph)]
    return [" ".join(sentence.split()) for sentence in actual if re.search(r"\w", sentence)]


def test_sentences_are_counted():
    text = ("# A title\n\nOne `two three` [four](five.md). Is it\ntwo?\n\n| a. | b. |\n"
            "* An item\n* **Bold.** Last, e.g. it\n")
    assert sentences(text) == ["One code four.", "Is it two?", "* An item", "* **Bold.", "Last, eg it"]


@each
def test_sentences_are_short(path):
    lengths = [len(sentence.split()) for sentence in sentences(prose(path))]
    assert sum(lengths) <= 20 * len(lengths), f"{sum(lengths) / len(lengths):.1f} words in the mean"
    longest = max(sentences(prose(path)), key=lambda sentence: len(sentence.split()))
    assert len(longest.split()) <= 40, longest


@each
def test_documents_are_written_in_plain_words(path):
    text = re.sub(r"`[^`]*`", "", re.sub(r"\]\([^)]*\)", "]", prose(path)))
    assert [line for line in text.splitlines() if UNCLEAR.search(line)] == []


def public_docstrings(path: Path):
    """(name, docstring) of a module and of its public classes, functions and methods."""
    def walk(node, names):
        yield ".".join(names), ast.get_docstring(node) or ""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef) and not child.name.startswith("_"):
                yield from walk(child, [*names, child.name])
    return walk(ast.parse(path.read_text()), [path.relative_to(ROOT).as_posix()])


@pytest.mark.parametrize("package", ["*.py", *(f"{name}/**/*.py" for name in PACKAGES)])
def test_public_docstrings_are_written_in_plain_words(package):
    files = sorted((ROOT / "openmix").glob(package))
    lines = [(name, line) for path in files for name, text in public_docstrings(path) for line in text.splitlines()]
    assert len(lines) > 5, "nothing was looked at"
    unclear = [(name, line) for name, line in lines if UNCLEAR.search(re.sub(r"\bin place\b", "", line))]
    assert unclear == []


@pytest.mark.parametrize("package", ["*.py", *(f"{name}/**/*.py" for name in PACKAGES)])
def test_names_are_those_of_things(package):
    files = sorted((ROOT / "openmix").glob(package))
    names = [(path.name, node.lineno, name) for path in files for node in ast.walk(ast.parse(path.read_text()))
             for name in (getattr(node, "id", None), getattr(node, "arg", None))
             if name in ("found", "told", "said", "mine", "reckoned", "what", "who")]
    assert names == []


def test_tests_have_plain_names():
    names = [(path.name, name) for path in sorted((ROOT / "tests").rglob("test_*.py"))
             for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)]
    assert len(names) > 1000
    assert [pair for pair in names if {"told", "tells", "lies", "mine", "reckoned"} & set(pair[1].split("_"))] == []
