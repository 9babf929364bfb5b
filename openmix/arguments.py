"""What the parsers of all tools share: unknown options name the nearest known, paths may begin with ``~``."""
import argparse
import difflib
import os
import re


def typed_path(text: str) -> str:
    """A path as it was typed, with ``~`` replaced by the home folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a path, got an empty text")
    return os.path.expanduser(text)


def seed(text: str) -> int:
    """A whole number from 0 to 2**63 - 1."""
    if not re.fullmatch(r"\+?\d{1,19}", text) or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 2**63 - 1, got {text!r}")
    return int(text)


class Parser(argparse.ArgumentParser):
    """argparse's, whose message about an unknown option or action names the nearest known one."""

    def error(self, message: str):
        unknown = re.match(r"unrecognized arguments: (.*)", message)
        choice = re.match(r"argument [^:]*: invalid choice: '([^']*)' \(choose from (.*)\)", message)
        words, known = [], []
        if unknown:
            words = [word.partition("=")[0].replace("_", "-") for word in unknown[1].split() if word.startswith("-")]
            known = sorted(_options(self))
        elif choice:
            words, known = [choice[1]], re.findall(r"[\w.-]+", choice[2])
        elif message.startswith("the following arguments are required") and any(
                action.nargs in ("?", "*", "+") and action.option_strings for action in self._actions):
            message += "; put them first, as options that take several words (or one or none) take what follows"
        hints = [near for word in words for near in difflib.get_close_matches(word, known, n=1)]
        super().error(f"{message}; did you mean {', '.join(hints)}?" if hints else message)


def _options(parser: argparse.ArgumentParser) -> set[str]:
    """The options of a parser and of its actions, without those that its help leaves out."""
    options = set()
    for action in parser._actions:
        if action.help is not argparse.SUPPRESS:
            options |= {option for option in action.option_strings if "_" not in option}  # the newer spellings
        if isinstance(action, argparse._SubParsersAction):
            options |= {option for inner in action.choices.values() for option in _options(inner)}
    return options
