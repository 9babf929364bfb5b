"""Config names to classes.

A package (``openmix.mixups``, ``openmix.backbones`` ...) registers what its ``__all__`` exports: a new class is
known to configs as soon as its package exports it. Users add their own by decorator and ``custom_imports``::

    @MIXUPS.register_module()
    class MyMix(MixMethod): ...

A name that is not registered is refused and never imported: configs also come inside files that a stranger sent.
"""
import inspect
import pickle
import sys
import time
import warnings
from importlib import import_module
from importlib.util import find_spec

from .errors import did_you_mean

try:
    import mmengine.registry as mm
except (EOFError, pickle.UnpicklingError):  # mmengine imports yapf, whose first import on a machine fills a cache
    time.sleep(1)  # its file is empty for a moment: another process, started together with this one, writes it
    import mmengine.registry as mm

SCOPE = "openmix"
SCOPES = (SCOPE, mm.HOOKS.scope)  # ours and mmengine's: what a ``scope.`` before a name, or ``_scope_``, may be


def _parameters(function) -> tuple[dict, bool]:
    """Parameters by name that ``function`` (or a class) takes by keyword, and whether it takes any others."""
    if not inspect.isclass(function):
        taken = inspect.signature(function).parameters
        return dict(taken), any(p.kind is p.VAR_KEYWORD for p in taken.values())
    taken: dict = {}
    for cls in function.__mro__:
        if "__init__" not in vars(cls) or cls is object:
            continue
        parameters = dict(list(inspect.signature(cls.__init__).parameters.items())[1:])
        taken |= {n: p for n, p in parameters.items()
                  if n not in taken and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break
    return taken, False


def accepted_keys(function) -> set[str] | None:
    """Names that ``function`` (or a class) takes by keyword; ``None`` if it takes any.

    A ``**kwargs`` of a class is followed to the constructors of its bases; one that ends at ``object`` does not accept
    arbitrary keys (a class that passes it on declares its keys in ``config_keys``).
    """
    taken, open_end = _parameters(function)
    return None if open_end else set(taken)


def required_keys(function) -> list[str]:
    """Names that ``function`` (or a class) cannot do without."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [n for n, p in _parameters(function)[0].items() if p.default is p.empty and p.kind in kinds]


def default_values(function) -> dict:
    """Values of those that ``function`` (or a class) can do without, by name."""
    return {n: p.default for n, p in _parameters(function)[0].items() if p.default is not p.empty}


def refuse_imports(value, where: str) -> None:
    """Raise ValueError if a name below ``value`` is one that mmengine would import.

    Some of its classes build what their arguments name (``ema_type``, ``dict(type=...)``), and its look-up imports
    names that no registry holds.
    """
    if isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            refuse_imports(item, f"{where}[{i}]")
    if not isinstance(value, dict):
        return
    check_scope(value, where)
    for key, item in value.items():
        if (key == "type" or str(key).endswith("_type")) and isinstance(item, str):
            name = item.removeprefix(f"{SCOPES[1]}.")
            if "." in name or name in sys.modules or (name.isidentifier() and find_spec(name) is not None):
                raise ValueError(f"{where}.{key}: {item!r} is not registered; names are looked up in the registries "
                                 "and never imported")
        refuse_imports(item, f"{where}.{key}")


def check_scope(cfg: dict, where: str) -> None:
    """Raise ValueError if ``cfg`` asks for the registries of another package, which would be imported for it."""
    if cfg.get("_scope_") not in (None, *SCOPES):
        raise ValueError(f"{where}: unknown scope {cfg['_scope_']!r}; names are looked up in {' and '.join(SCOPES)}")


class Registry(mm.Registry):
    """mmengine's registry, strict about unknown names and keys.

    Args:
        modules: names of modules whose ``__all__`` is registered when a name is first looked up.
        recursive: also build the ``dict(type=...)`` among the arguments (a method made of methods).
        also: registries in which a nested type is sought that is unknown here (the teacher of a method).
    """

    def __init__(self, name, modules=(), recursive=False, parent=None, also=()):
        super().__init__(name, scope=SCOPE, parent=parent)
        self.modules, self.recursive, self.also = tuple(modules), recursive, tuple(also)

    def import_from_location(self):
        if self._imported:
            return
        self._imported = True
        for module in map(import_module, self.modules):
            for name in module.__all__:
                member = getattr(module, name)
                if (inspect.isclass(member) or inspect.isfunction(member)) and name not in self._module_dict:
                    self._register_module(module=member, module_name=name)

    def lineage(self):
        """This registry and its parents, each with what its package registers."""
        registry = self
        while registry is not None:
            registry.import_from_location()
            yield registry
            registry = registry.parent

    def known(self) -> list[str]:
        """All names this registry can build, its parents' included."""
        return sorted(set().union(*(registry._module_dict for registry in self.lineage())))

    def get(self, key: str):
        """The class that is registered as ``key``, here or in a parent; None without one. Nothing is imported for it.

        ``"mmengine.LoggerHook"`` is the class that mmengine registered under that name.
        """
        if not isinstance(key, str):
            raise TypeError(f"{self.name}: a name must be a string, got {key!r}")
        scope, _, name = key.partition(".")
        for registry in self.lineage():
            if key in registry._module_dict:
                return registry._module_dict[key]
            if scope == registry.scope and name in registry._module_dict:
                return registry._module_dict[name]
        return None

    def check(self, cfg, where: str = "", filled=None):
        """Check the type and the keys of ``cfg`` without building it; returns the class.

        Args:
            filled: names that the builder fills in; with it, missing keys are errors, too.

        Raises:
            TypeError: ``cfg`` is no dict with a ``type``.
            ValueError: unknown type or key, the message names the nearest known one; a missing key.
        """
        where = where or self.name
        if not isinstance(cfg, dict) or "type" not in cfg:
            known = ", ".join(self.known())
            raise TypeError(f"{where} must be a dict with a 'type', got {cfg!r}; known types: {known}")
        kind = cfg["type"]
        check_scope(cfg, where)
        cls = self.get(kind) if isinstance(kind, str) else kind
        if not callable(cls):
            raise ValueError(f"{where}: unknown type {kind!r}; {did_you_mean(str(kind), self.known())}")
        if self.parent is not None and kind not in self._module_dict:
            refuse_imports({k: v for k, v in cfg.items() if k != "type"}, where)
        # a wrapper of another library's models knows its keys only together with the model's name
        known = cls.config_keys(cfg) if hasattr(cls, "config_keys") else accepted_keys(cls)
        name = getattr(cls, "__name__", str(cls))
        for key in cfg:
            if key not in ("type", "_scope_") and known is not None and key not in known:
                raise ValueError(f"{where}: {name} has no key {key!r}; {did_you_mean(key, known)}")
        missing = [] if filled is None else [k for k in required_keys(cls) if k not in cfg and k not in filled]
        if missing:
            raise ValueError(f"{where}: {name} needs the key {missing[0]!r}; keys: {', '.join(sorted(known or []))}")
        if self.recursive:
            for key, value in cfg.items():
                self._check_nested(value, f"{where}.{key}", None if filled is None else ())
        return cls

    def _check_nested(self, value, where, filled):
        if isinstance(value, (list, tuple)):
            for i, item in enumerate(value):
                self._check_nested(item, f"{where}[{i}]", filled)
        elif isinstance(value, dict) and "type" in value:
            self._of_nested(value).check(value, where, filled)

    def _of_nested(self, cfg: dict) -> "Registry":
        """The registry that knows the type of a nested ``cfg``; this one where none does."""
        kind = cfg["type"]
        return next((r for r in (self, *self.also) if isinstance(kind, str) and r.get(kind) is not None), self)

    def build(self, cfg, *args, **kwargs):
        """Build ``cfg`` (or hand back what is built already), after :meth:`check`."""
        if not isinstance(cfg, (dict, str)):
            return cfg
        cls = self.check(cfg, filled=None if args else kwargs)
        cfg = {k: v for k, v in cfg.items() if k not in ("type", "_scope_")}
        if self.recursive:
            cfg = {k: self._build_nested(v) for k, v in cfg.items()}
        return cls(*args, **{**kwargs, **cfg})

    def build_part(self, where: str, cfg):
        """:meth:`build`; errors in values begin with ``where``, the key of ``cfg`` in the config."""
        try:
            return self.build(cfg)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{where}: {error}") from error

    def _build_nested(self, value):
        if isinstance(value, (list, tuple)):
            return [self._build_nested(v) for v in value]
        return self._of_nested(value).build(value) if isinstance(value, dict) and "type" in value else value


BACKBONES = Registry("backbone", ["openmix.backbones"])
HEADS = Registry("head", ["openmix.heads"])
LOSSES = Registry("loss", ["openmix.losses"])
DATASETS = Registry("dataset", ["openmix.datasets"], recursive=True)
MODELS = Registry("model", ["openmix.models", "openmix.inference.teacher"], parent=mm.MODELS)
EVALUATORS = Registry("evaluator", ["openmix.evaluators"], recursive=True, also=(MODELS,))
MIXUPS = Registry("mixup", ["openmix.mixups"], recursive=True, also=(MODELS,))
HOOKS = Registry("hook", ["openmix.engine.hooks", "openmix.engine.logging.csv_file"], parent=mm.HOOKS)
LOOPS = Registry("loop", ["openmix.engine.train_loop", "openmix.engine.eval_loop"], parent=mm.LOOPS)
OPTIMIZERS = Registry("optimizer", parent=mm.OPTIMIZERS)
VISBACKENDS = Registry("vis_backend", ["openmix.engine.logging.lines"], parent=mm.VISBACKENDS)
VISUALIZERS = Registry("visualizer", ["openmix.engine.logging.visualizer"], parent=mm.VISUALIZERS)
LOG_PROCESSORS = Registry("log_processor", ["openmix.engine.logging.processor"], parent=mm.LOG_PROCESSORS)


def __getattr__(name):
    if name == "METRICS":
        warnings.warn("METRICS is called EVALUATORS now", DeprecationWarning, stacklevel=2)
        return EVALUATORS
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
