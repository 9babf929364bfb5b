"""Whether the content of a ``result.json`` can be used: what tables read is there, of its kind and finite."""
import math

NUMBER, NONE = (int, float), type(None)
NEEDED = dict(status=str, config_hash=str, data=dict, seed=int, processes=int, epochs=int, max_epochs=int, split=str,
              networks=dict)
OPTIONAL = dict(img_s=(*NUMBER, NONE), peak_memory_mib=(*NUMBER, NONE), wall_s=(*NUMBER, NONE),
                total_batch=(int, NONE), parameters=(int, NONE), hardware=(str, NONE), precision=(str, NONE),
                reason=(str, NONE))
DATA = dict(name=(str, NONE), sha256=(str, NONE), images=(int, NONE), official=(bool, NONE))
SUMMARY = dict(top1=list, median_last10=(*NUMBER, NONE), last=(dict, NONE))
LAST = dict(top1=NUMBER, epoch=int)


def check(found: dict) -> None:
    """Raise ValueError naming the first field of a result that is missing, of another kind, or not finite."""
    for key, kind in NEEDED.items():
        _expect("", found, key, kind)
    for where, part, kinds in (("", found, OPTIONAL), ("data.", found["data"], DATA)):
        for key in kinds:
            if key in part:
                _expect(where, part, key, kinds[key])
    if found["networks"]:
        _expect("", found, "primary", str)
        _expect("", found["networks"], found["primary"], dict)
    for name in found["networks"]:
        _expect("networks.", found["networks"], name, dict)
        _check_network(f"networks.{name}.", found["networks"][name])


def _check_network(where: str, network: dict) -> None:
    for key, kind in SUMMARY.items():
        _expect(where, network, key, kind)
    for key, kind in LAST.items() if network["last"] is not None else ():
        _expect(f"{where}last.", network["last"], key, kind)
    for key in ("top1", "top5"):
        _expect(where, {"top5": [], **network}, key, list)
        if not all(_fits(value, (*NUMBER, NONE)) for value in network.get(key, ())):
            raise ValueError(f"result.json is wrong: {where}{key} holds values that are no finite numbers")


def _fits(value, kind) -> bool:
    """Whether it is of a kind, and finite; True is no number."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return (isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)
            and not (isinstance(value, float) and not math.isfinite(value)))


def _expect(where: str, found: dict, key, kind) -> None:
    if key not in found:
        raise ValueError(f"result.json is partial: it lacks {where}{key}")
    if not _fits(found[key], kind):
        raise ValueError(f"result.json is wrong: {where}{key} is {found[key]!r}")
