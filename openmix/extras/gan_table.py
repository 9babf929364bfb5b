"""The results of toy GANs as a table."""
import statistics

MEASURES = (("modes", 1, 1), ("good", 100, 1), ("distance", 1, 3))  # name, factor, digits


def spread(values: list[float], digits: int = 1) -> str:
    """Mean, and the sample standard deviation where there are two values or more."""
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def table(results: list[dict]) -> str:
    """Markdown: a row for each snapshot of each result (a ``gan.json``), mean and deviation over its seeds."""
    lines = ["| data | form | width | alpha | steps | seeds | modes | good samples, % | distance |",
             "|---|---|--:|--:|--:|--:|--:|--:|--:|"]
    for result in results:
        settings = result["settings"]
        for entry in result["history"]:
            cells = [spread([factor * value for value in entry[name]], digits) for name, factor, digits in MEASURES]
            lines.append(f"| {settings['data']} | {settings['form']} | {settings['width']} | {settings['alpha']:g} | "
                         f"{entry['step']:,} | {len(settings['seeds'])} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
