"""Whether the files of a run can be used: what tables read is there, of its kind, finite, and agrees with the rest."""
from . import result as results
from .description import is_description
from .json_files import dict_of, fits, list_of, number, optional, shown, whole
from .status import TERMINAL

PERCENT, AMOUNT = number(0, 100), number(0, 1e15)
NEEDED = dict(status=lambda value: fits(value, str) and value in TERMINAL, config_hash=str, data=dict, seed=whole(),
              processes=whole(1), epochs=whole(), max_epochs=whole(1), split=str, networks=dict)
OPTIONAL = dict(img_s=optional(AMOUNT), peak_memory_mib=optional(AMOUNT), wall_s=optional(AMOUNT),
                total_batch=optional(whole(1)), parameters=optional(whole()), hardware=optional(str),
                precision=optional(str), reason=optional(str), description=optional(is_description))
DATA = dict(name=optional(str), sha256=optional(str), images=optional(whole()), official=optional(bool))
SUMMARY = dict(top1=list_of(optional(PERCENT)), median_last10=optional(PERCENT), last=optional(dict))
MORE = dict(top5=list_of(optional(PERCENT)), best=optional(dict))
BEST = dict(top1=PERCENT, epoch=whole(1))
LAST = dict(BEST, top5=optional(PERCENT))
ENV = dict(hardware=optional(str), world_size=whole(1), seed=optional(whole()), platform=optional(str),
           cpus=optional(whole()), cuda=optional(str), versions=dict_of(optional(str)), git=optional(dict),
           variables=dict_of(str), description=is_description)  # the kinds of the fields of env.json


def read(path) -> dict:
    """A ``result.json`` that can be used.

    Raises:
        FileNotFoundError: there is none. OSError: it is no file, or cannot be read. ValueError: it cannot be used.
    """
    found = results.read(path)
    check(found)
    return found


def check(found: dict) -> None:
    """Raise ValueError naming the first field of a result that is missing, of another kind, or contradicts others."""
    _check("", found, NEEDED, OPTIONAL)
    _check("data.", found["data"], {}, DATA)
    if found["networks"]:
        _check("", found, dict(primary=str))
        _check("", found["networks"], {found["primary"]: dict})
    for name, network in found["networks"].items():
        _check("networks.", found["networks"], {name: dict})
        _check_network(f"networks.{shown(name)[1:-1]}.", network, found["epochs"])
    if found["status"] == "done" and found["epochs"] != found["max_epochs"]:
        raise ValueError(f"result.json is wrong: it says done after {found['epochs']} of {found['max_epochs']} epochs")


def _check_network(where: str, network: dict, epochs: int) -> None:
    _check(where, network, SUMMARY, MORE)
    for key, kinds in dict(last=LAST, best=BEST).items():
        if network.get(key) is not None:
            needed = dict(top1=kinds["top1"], epoch=kinds["epoch"])
            _check(f"{where}{key}.", network[key], needed, kinds)
    curve = network["top1"]
    for key in ("top1", "top5"):
        if key in network and len(network[key]) != epochs:
            raise ValueError(f"result.json is wrong: {where}{key} has {len(network[key])} values of {epochs} epochs")
    measured = [(value, epoch) for epoch, value in enumerate(curve, 1) if value is not None]
    last = network["last"] and (network["last"]["top1"], network["last"]["epoch"])
    for key, value, right in (("median_last10", network["median_last10"], results.median_last(curve)),
                              ("last", last, measured[-1] if measured else None)):
        if value != right:
            raise ValueError(f"result.json is wrong: {where}{key} is {shown(value)}, by the curve it is {right}")


def _check(where: str, part: dict, needed: dict, others: dict | None = None) -> None:
    for key in needed:
        if key not in part:
            raise ValueError(f"result.json is partial: it lacks {where}{key}")
    for key, kind in {**(others or {}), **needed}.items():
        if key in part and not fits(part[key], kind):
            raise ValueError(f"result.json is wrong: {where}{key} is {shown(part[key])}")
