"""Whether the files of a run can be used: what tables read is there, of its kind, finite, and agrees with the rest."""
import re

from . import result as results
from .description import is_description
from .json_files import dict_of, fits, list_of, number, optional, shown, whole
from .status import TERMINAL

PERCENT, AMOUNT, NUMBER = number(0, 100), number(0, 1e15), number(-1e15, 1e15)
def is_value(value) -> bool:
    """A kind: what an evaluator may give, a number or a list of them (one a class)."""
    return NUMBER(value) or fits(value, list_of(optional(NUMBER)))


NEEDED = dict(status=lambda value: fits(value, str) and value in TERMINAL, config_hash=str, data=dict, seed=whole(),
              processes=whole(1), epochs=whole(), max_epochs=whole(1), split=str, main=optional(str), networks=dict,
              evals=dict)
OPTIONAL = dict(img_s=optional(AMOUNT), cpu_img_s=optional(AMOUNT), peak_memory_mib=optional(AMOUNT),
                wall_s=optional(AMOUNT), total_batch=optional(whole(1)), parameters=optional(whole()),
                hardware=optional(str), precision=optional(str), reason=optional(str),
                description=optional(is_description))
DATA = dict(name=optional(str), sha256=optional(str), images=optional(whole()), official=optional(bool))
EVALUATION = dict(epoch=whole(1), data=dict, networks=dict_of(dict))
ENV = dict(hardware=optional(str), world_size=whole(1), seed=optional(whole()), platform=optional(str),
           cpus=optional(whole()), cuda=optional(str), versions=dict_of(optional(str)), git=optional(dict),
           variables=dict_of(str), description=is_description)  # the kinds of the fields of env.json


def read(path) -> dict:
    """A ``result.json`` that can be used.

    Raises:
        FileNotFoundError: there is none. OSError: it is no file, or cannot be read. ValueError: it cannot be used.
    """
    record = results.read(path)
    check(record)
    return record


def check(record: dict) -> None:
    """Raise ValueError naming the first field of a result that is missing, of another kind, or contradicts others."""
    _check("", record, NEEDED, OPTIONAL)
    _check("data.", record["data"], {}, DATA)
    if record["networks"]:
        _check("", record, dict(primary=str, main=str))
        _check("", record["networks"], {record["primary"]: dict})
    for name, network in record["networks"].items():
        _check("networks.", record["networks"], {name: dict})
        _check_network(f"networks.{shown(name)[1:-1]}.", network, record["main"], record["epochs"])
    for name, evaluation in record["evals"].items():
        where = f"evals.{shown(name)[1:-1]}."
        _check("evals.", record["evals"], {name: dict})
        _check(where, evaluation, EVALUATION, dict(type=optional(str), main=optional(str), checkpoint=optional(str)))
        if evaluation["epoch"] > record["epochs"]:
            raise ValueError(f"result.json is wrong: {where}epoch is {evaluation['epoch']} "
                             f"of {record['epochs']} epochs")
        _check(f"{where}data.", evaluation["data"], {}, DATA)
        for network, values in evaluation["networks"].items():
            _check(f"{where}networks.{shown(network)[1:-1]}.", values, {}, {key: _measured(key) for key in values})
    if record["status"] == "done" and record["epochs"] != record["max_epochs"]:
        raise ValueError(f"result.json is wrong: it says done after {record['epochs']} of "
                         f"{record['max_epochs']} epochs")


def _check_network(where: str, network: dict, main: str, epochs: int) -> None:
    """One network: a curve for each value of the evaluator, a summary of the main one."""
    curves = {key: list_of(optional(_kind(key))) for key in network if key not in results.SUMMARY}
    curves[main] = list_of(optional(percent_or_number(main)))
    least = {main: percent_or_number(main), "epoch": whole(1)}
    _check(where, network, {**curves, "median_last10": optional(least[main]), "last": optional(dict)},
           dict(best=optional(dict)))
    for key, others in dict(last={name: optional(_kind(name)) for name in curves}, best={}).items():
        if network.get(key) is not None:
            _check(f"{where}{key}.", network[key], least, {**others, **least})
    for key in curves:
        if len(network[key]) != epochs:
            raise ValueError(f"result.json is wrong: {where}{key} has {len(network[key])} values of {epochs} epochs")
    right = results.summary({main: network[main]}, main)
    for key, parts in dict(median_last10=None, last=(main, "epoch")).items():
        value, expected = (values[key] and tuple(values[key][part] for part in parts) if parts else values[key]
                           for values in (network, right))
        if value != expected:
            raise ValueError(f"result.json is wrong: {where}{key} is {shown(value)}, by the curve it is {expected}")


def percent_or_number(name: str):
    """The kind of a value by its name: accuracies of the k largest logits are percentages, others any number."""
    return PERCENT if re.fullmatch(r"top\d+", name) else NUMBER


def _kind(name: str):
    kind = percent_or_number(name)
    return kind if kind is PERCENT else is_value


def _measured(name: str):
    """The kind of a value of a named evaluation: one, or a list of them, as the accuracies of Occlusion."""
    kind = optional(_kind(name))
    return lambda value: kind(value) or list_of(optional(percent_or_number(name)))(value)


def _check(where: str, part: dict, needed: dict, others: dict | None = None) -> None:
    for key in needed:
        if key not in part:
            raise ValueError(f"result.json is partial: it lacks {where}{key}")
    for key, kind in {**(others or {}), **needed}.items():
        if key in part and not fits(part[key], kind):
            raise ValueError(f"result.json is wrong: {where}{key} is {shown(part[key])}")
