#!/usr/bin/env python
"""Tables and figures of docs/explanation/mixup_paper.md that are no accuracies of runs, from the records in results/.

    python tools/mixup_paper.py            # rewrite the tables between markers and the figures
    python tools/mixup_paper.py --check    # change nothing: exit with 1 if a table is out of date
"""
import argparse
import json
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from openmix.extras import gan_table  # noqa: E402
from openmix.results.columns import on_same_images  # noqa: E402
from openmix.results.documents import new_texts, write_changed  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
PAGE, IMAGES = Path("docs", "explanation", "mixup_paper.md"), Path("docs", "images")
SMALL = "cifar10500aclass-lenet"  # the folder of the runs of mixup_paper_between_small
ROWS = {"ERM, LeNet": "vanilla", "mixup, LeNet": "mixup"}
OTHER = "ResNet-20, weights of others"
NONE = "no run yet"
ATTACKS = dict(clean="none", fgsm1="FGSM 1", fgsm2="FGSM 2", fgsm4="FGSM 4", fgsm8="FGSM 8", ifgsm1="I-FGSM 1",
               ifgsm2="I-FGSM 2", ifgsm4="I-FGSM 4", ifgsm8="I-FGSM 8", pgd4="PGD 4", fgsm4_other="FGSM 4, other",
               ifgsm4_other="I-FGSM 4, other")


def evaluations(root: Path) -> dict[str, list[dict]]:
    """{row: the ``{evaluation: {name: value}}`` of each of its runs, by seed}.

    All runs of the LeNets are compared on the same images: an evaluation on others than of the most runs is left out.
    """
    folders = {label: f"{SMALL}/cifar10_lenet_between_{method}*/seed*/result.json" for label, method in ROWS.items()}
    rows = {label: [json.loads(file.read_text())["evals"] for file in sorted(root.glob(f"results/{pattern}"))]
            for label, pattern in {**folders, OTHER: "cifar10-resnet20/evaluations.json"}.items()}
    lenets = [evals for label in ROWS for evals in rows[label]]
    for name in {name for evals in lenets for name in evals}:
        have = [evals for evals in lenets if name in evals]
        alike = on_same_images(have, lambda evals, name=name: evals[name])
        for evals in have:
            if not any(evals is other for other in alike):
                del evals[name]
    return {label: [{name: dict(evaluation["networks"]["net"], images=evaluation["data"]["images"])
                     for name, evaluation in evals.items()} for evals in runs] for label, runs in rows.items()}


def images(runs: list[dict], names: Iterable[str]) -> str:
    """How many images the evaluations ``names`` of a row are on."""
    return " or ".join(f"{count:,}" for count in sorted({run[name]["images"] for run in runs for name in names
                                                         if name in run})) or NONE


def cell(values: list[float]) -> str:
    """Mean ± deviation (number of runs), with as much of it as there is."""
    if not values:
        return NONE
    return gan_table.spread(values) + (f" ({len(values)})" if len(values) > 1 else "")


def markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def attacks(root: Path) -> str:
    """Errors in % under each attack."""
    rows = evaluations(root)
    values = [[cell([100 - run[name]["top1"] for run in runs if name in run]) for runs in rows.values()]
              for name in ATTACKS]
    other = [name for name in ATTACKS if name.endswith("_other")]
    direct = [name for name in ATTACKS if name not in other]
    counts = [[title, *(images(runs, names) for runs in rows.values())]
              for title, names in (("test images", direct), ("test images, other", other))]
    return markdown(["error in %, attack and grey levels", *rows],
                    [*counts, *([title, *cells] for title, cells in zip(ATTACKS.values(), values, strict=True))])


def corruptions(root: Path) -> str:
    """Mean error in % over the severities of each family, and accuracy with hidden cells."""
    rows = evaluations(root)
    runs = [[run["corruptions"] for run in of_row if "corruptions" in run] for of_row in rows.values()]
    families = [name for name, values in next((row[0] for row in runs if row), {}).items() if isinstance(values, list)]
    lines = [["test images", *(images(of_row, ("corruptions", "occlusion")) for of_row in rows.values())]]
    lines += [[name.replace("_", " "), *(cell([statistics.mean(run[name]) for run in of_row]) for of_row in runs)]
             for name in families]
    lines.append(["mean of all", *(cell([run["mean_error"] for run in of_row]) for of_row in runs)])
    base = {name: statistics.mean(sum(run[name]) for run in runs[0]) for name in families} if runs[0] else {}
    lines.append(["mean corruption error, ERM LeNet = 100", *(
        cell([100 * statistics.mean(sum(run[name]) / base[name] for name in families) for run in of_row if base])
        for of_row in runs)])
    hidden = [[run["occlusion"] for run in of_row if "occlusion" in run] for of_row in rows.values()]
    for k, share in enumerate(next((of_row[0]["share"] for of_row in hidden if of_row), [])):
        lines.append([f"{share:.0%} of the image hidden",
                      *(cell([100 - run["top1"][k] for run in of_row]) for of_row in hidden)])
    return markdown(["error in %", *rows], lines)


def gan(root: Path) -> str:
    """Modes covered, share of good samples and distance, at each snapshot; then the samples."""
    files = {file.parent: json.loads(file.read_text()) for file in root.glob("results/gan/*/gan.json")}
    keys = ("data", "form", "width", "alpha")
    folders = sorted(files, key=lambda folder: [files[folder]["settings"][key] for key in keys])
    text = gan_table.table([files[folder] for folder in folders])
    for folder in folders:
        settings = files[folder]["settings"]
        title = f"{settings['data']}, width {settings['width']}, alpha {settings['alpha']:g}"
        if settings["alpha"]:
            title += f", form {settings['form']}"
        text += f"\n{title}:\n\n![Samples, {title}](../../results/gan/{folder.name}/samples.png)\n"
    return text


TABLES = dict(attacks=attacks, corruptions=corruptions, gan=gan)


def draw_between(root: Path) -> None:
    """Figure 2: misses and gradient norms over lam, the mean over seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 2.9), layout="constrained")
    panels = figure.subplots(1, 2)
    for (label, runs), colour in zip(evaluations(root).items(), ("#c2410c", "#2563a8", "0.55"), strict=True):
        curves = [run["between"] for run in runs if "between" in run]
        for panel, name in zip(panels, ("miss", "norm"), strict=True):
            if curves:
                mean = [statistics.mean(points) for points in zip(*(curve[name] for curve in curves), strict=True)]
                panel.plot(curves[0]["lam"], mean, color=colour, label=label)
    for panel, title in zip(panels, ("misses, %", "norm of the gradient"), strict=True):
        panel.set(xlabel="lam", title=title, ylim=(0, None))
        panel.legend(fontsize=7, frameon=False)
    figure.savefig(root / IMAGES / "mixup_paper_between.png", dpi=100, metadata=dict(Software=None))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing: exit with 1 if a table is out of date")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of docs/ and results/")
    args = parser.parse_args()
    texts = new_texts([args.root / PAGE], lambda name, _: TABLES[name](args.root), TABLES, kind="paper")
    changed = write_changed(texts, dry=args.check)
    for path in changed:
        print(f"{'out of date' if args.check else 'written'}: {path}")
    if not args.check and any(evaluations(args.root).values()):
        draw_between(args.root)
    return int(bool(args.check and changed))


if __name__ == "__main__":
    sys.exit(main())
