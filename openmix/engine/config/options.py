"""``--cfg-options KEY=VALUE ...``: text to values, merged into a config. Imports nothing heavy."""
import ast
import io
import re
import tokenize
import warnings
from collections.abc import Mapping

WORDS = dict(true=True, false=False)  # in any case, as in mmengine
NUMBERS = re.compile(r"[+-]?(inf|infinity|nan)", re.I)
DIGITS = re.compile(r"[\w.+-]*\d_\d[\w.+-]*")  # Python leaves underscores out, but 2024_01_05 is a name
OPEN, CLOSE = "[({", "])}"
PLAIN = (type(None), bool, int, float, str, list, tuple, dict)


def parse_options(pairs) -> dict:
    """``KEY=VALUE`` strings to a dict of dotted keys; the later of two for one key wins.

    Values are read by :func:`parse_value`.

    Raises:
        ValueError: no ``=``, an empty part of a key, or brackets that do not close.
    """
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.strip()
        if not equals or not all(part.strip() for part in key.split(".")):
            raise ValueError(f"--cfg-options takes KEY=VALUE, got {pair!r}; such as model.mixup.alpha=0.2")
        options.pop(key, None)  # its place in the order is that of the later one
        try:
            options[key] = parse_value(value)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"--cfg-options {pair}: {error}; quotes make it text: {key}=\"'...'\"") from error
    return options


def parse_value(text: str):
    """The value that was typed.

    Python literals (numbers, True, None, text in quotes, lists, tuples, dicts) and ``dict(key=value)`` are what they
    are in Python; in brackets, words need no quotes. Literals with commas between them are a list: ``1,5``. Anything
    else is text, exactly as typed; quotes make text of what would be something else.

    Raises:
        ValueError: brackets that do not close, or that hold no list, tuple or dict.
    """
    inner = text.strip()
    if inner.lower() in WORDS:
        return WORDS[inner.lower()]
    if NUMBERS.fullmatch(inner):
        return float(inner)
    try:
        value = _literal(inner)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _bracketed(text)
    if isinstance(value, tuple) and not inner.startswith("("):
        return list(value)
    return value


def _literal(text: str):
    """A Python literal; raises ValueError or SyntaxError where ``text`` is none, or not all of it."""
    if DIGITS.fullmatch(text):
        raise ValueError(f"{text} is a name")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of backslashes in text
        value = ast.literal_eval(_Calls().visit(ast.parse(text, mode="eval")))
        if "#" in text and any(token.type == tokenize.COMMENT
                               for token in tokenize.generate_tokens(io.StringIO(text).readline)):
            raise ValueError("a number sign that Python would read as the start of a comment")
    if not isinstance(value, PLAIN):
        raise ValueError(f"no plain value: {value!r}")
    return value


class _Calls(ast.NodeTransformer):
    """``dict(a=1)`` as ``{"a": 1}`` and ``float("inf")`` as that number, as they are in configs."""

    def visit_Call(self, node):
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(id="dict"), args=[]) if all(word.arg for word in node.keywords):
                keys = [ast.Constant(word.arg) for word in node.keywords]
                return ast.Dict(keys, [word.value for word in node.keywords])
            case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(str() as value)], keywords=[]):
                return ast.Constant(float(value))
        return node


def merge_options(config, options: Mapping) -> None:
    """Set each dotted key of ``options`` in a config, in their order; a number in a key is the index of a list.

    A dict is merged into one that is there, unless it holds ``_delete_=True``; any other value replaces.

    Raises:
        ValueError: a key that leads into a number or text, past a list's end, or by name into a list; a dict that
            would become a number or text.
    """
    for key, value in sorted(options.items(), key=lambda item: not item[0].endswith("._delete_")):  # first of all
        *path, last = key.split(".")
        inside, name = config, ""
        for part in path:
            index = _index(inside, part, name)
            name = f"{name}.{part}" if name else part
            below = inside[index] if isinstance(inside, list) else inside.get(index)
            if below is None or isinstance(below, tuple):
                below = {} if below is None else list(below)
                inside[index] = below
                below = inside[index]  # a config has its own kind of dict
            inside = below
        _put(inside, _index(inside, last, name), value, key)


def _index(inside, part: str, name: str):
    """The key or the index by which ``part`` is reached in ``inside``, whose key is ``name``."""
    if isinstance(inside, list):
        if not part.isdecimal():
            example = f"; an item goes by its number: {name}.0.{part}" if inside else ""
            raise ValueError(f"{name} is a list of {len(inside)}, so it has no key {part!r}{example}")
        if int(part) >= len(inside):
            raise ValueError(f"{name} is a list of {len(inside)}, so it has no item {part} (the first is 0)")
        return int(part)
    if not hasattr(inside, "items"):
        raise ValueError(f"{name} is {inside!r}, so it has no key {part!r}")
    return part


def _put(inside, key, value, name: str) -> None:
    """Put one value in its place."""
    old = inside[key] if isinstance(inside, list) else inside.get(key)
    if key == "_delete_":
        if value:
            inside.clear()
    elif isinstance(value, Mapping) and _merges(value, old):
        for part, item in value.items():
            _put(old, _index(old, str(part), name) if isinstance(old, list) else part, item, f"{name}.{part}")
    elif isinstance(old, Mapping) and value is not None and not isinstance(value, (Mapping, list, tuple)):
        raise ValueError(f"{name} is a dict in the config and cannot become {value!r}; set one of its keys, as in "
                         f"{name}.{next(iter(old), 'key')}=..., or give a dict or None")
    else:
        inside[key] = value


def _merges(new: Mapping, old) -> bool:
    """Whether a dict changes what is there, a dict or the items of a list named by their numbers."""
    if new.get("_delete_"):
        return False
    return isinstance(old, Mapping) or isinstance(old, list) and bool(new) and all(str(k).isdecimal() for k in new)


def _bracketed(text: str):
    """Lists, tuples and dicts with words that are not in quotes; other text as it is."""
    inner = text.strip()
    call = re.match(r"dict\s*\(", inner)
    start = call.end() - 1 if call else 0
    if not inner or inner[start] not in OPEN:
        return text
    end, commas = _scan(inner, start)
    if end is None:
        raise ValueError("its brackets do not close")
    if end != len(inner) - 1:  # a text that begins with brackets, such as "(old) data"
        return text
    cuts = [start, *commas, end]
    parts = [inner[a + 1:b].strip() for a, b in zip(cuts, cuts[1:], strict=False)]
    parts = parts[:-1] if not parts[-1] else parts
    if inner[start] == "{" or call:
        return dict(_item(part, "=" if call else ":") for part in parts)
    values = [parse_value(part) for part in parts]
    return values if inner[start] == "[" else tuple(values) if commas else text


def _item(part: str, sign: str) -> tuple:
    key, separator, value = part.partition(sign)
    if not separator:
        raise ValueError(f"{part!r} in a dict is no KEY{sign}VALUE")
    key = key.strip() if sign == "=" else parse_value(key.strip())
    return key, parse_value(value.strip())


def _scan(text: str, start: int) -> tuple[int | None, list[int]]:
    """Where the bracket at ``start`` closes (None: it does not), and the commas directly inside it."""
    stack, quote, commas = [], "", []
    for i in range(start, len(text)):
        char = text[i]
        if quote:
            quote = "" if char == quote and text[i - 1] != "\\" else quote
        elif char in "'\"" and text[i - 1] in OPEN + ",:= ":  # an apostrophe inside a word opens nothing
            quote = char
        elif char in OPEN:
            stack.append(CLOSE[OPEN.index(char)])
        elif char in CLOSE:
            if not stack or stack.pop() != char:
                return None, commas
            if not stack:
                return i, commas
        elif char == "," and len(stack) == 1:
            commas.append(i)
    return None, commas
