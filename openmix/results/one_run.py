"""The result of one run on the screen."""
import re


def show_result(record: dict) -> None:
    """The row of one run, as the tables will show it; accuracies that were not evaluated are "-"."""
    from prettytable import PrettyTable

    networks = record.get("networks") or {}
    curves = {name: {metric: curve for metric, curve in curve_of.items()
                     if isinstance(curve, list) and any(value is not None for value in curve)}
              for name, curve_of in networks.items()}
    metrics, main = dict.fromkeys(metric for curve_of in curves.values() for metric in curve_of), record.get("main")
    if main not in metrics:
        print("trained without evaluation; tools/test.py CONFIG CHECKPOINT measures the accuracy")
        return show_evaluations(record)
    metrics = [metric for metric in metrics if not any(isinstance(value, list) for curve_of in curves.values()
                                                       for value in curve_of.get(metric, []))]  # one value a class
    others = [metric for metric in metrics if metric != main]
    title = {metric: re.sub(r"^top(\d+)$", r"top-\1", metric) for metric in (main, *others)}
    table = PrettyTable(["network", f"{title[main]} last", f"{title[main]} best", f"{title[main]} median of last 10",
                         *(f"{title[metric]} last" for metric in others), "img/s"])

    def shown(value, form=".2f"):
        return "-" if value is None else format(value, form)

    for name, curve_of in curves.items():
        values = {metric: [v for v in curve_of.get(metric, []) if v is not None] for metric in (main, *others)}
        mark = " *" if name == record["primary"] and len(networks) > 1 else ""
        best = (networks[name].get("best") or {}).get(main)
        table.add_row([name + mark, shown(next(reversed(values[main]), None)), shown(best),
                       shown(networks[name].get("median_last10")),
                       *(shown(next(reversed(values[metric]), None)) for metric in others),
                       shown(record.get("img_s"), ",.0f")])
    print(table)
    show_evaluations(record)


def show_evaluations(record: dict) -> None:
    """A line for each network of each named evaluation of a result."""
    for name, evaluation in (record.get("evals") or {}).items():
        for network, values in evaluation["networks"].items():
            print(f"{name}, epoch {evaluation['epoch']}, {network}: {in_words(values)}")


def in_words(values: dict) -> str:
    """The values of one network: percentages to two digits, others to four that count; lists are left out."""
    def number(name, value):
        return f"{name} {value:.2f}" if re.fullmatch(r"top\d+", name) else f"{name} {value:.4g}"

    return "  ".join(number(name, value) for name, value in values.items()
                     if name != "count" and isinstance(value, (int, float)))
