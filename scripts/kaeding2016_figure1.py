"""Figure 1 of Kaeding et al. (2016) from runs: accuracy, and classes found, against labelled images.

    python scripts/kaeding2016_figure1.py outputs/kaeding2016_cifar100 --out outputs/reproduced/kaeding2016_cifar100

Writes figure1.png and figure1.md. The tables have means over all updates, the first training left out, and every pair
of strategies: differences paired by seed with 95% t intervals, p by t tests, corrected by Holm's method for all pairs.
A strategy leads in an update if its mean over the seeds is the highest of all.
"""

from argparse import ArgumentParser
from itertools import combinations
from math import isnan
from pathlib import Path

import pandas as pd

from al_runner.analysis.draw.frame import canvas, dress, finish
from al_runner.analysis.draw.look import Look
from al_runner.analysis.draw.panels import draw_lines, limit, seeds_note
from al_runner.analysis.draw.style import Picture, pens, sheet
from al_runner.analysis.stats.curves import Spread, by_seed, curves
from al_runner.analysis.stats.intervals import interval
from al_runner.analysis.stats.paired import holm, paired_test
from al_runner.analysis.table.runs import load
from al_runner.analysis.tell.shown import Shown

PANELS = {"test_accuracy": ("test accuracy (%)", 100.0), "classes": ("classes found", 1.0)}


def figure1(runs: pd.DataFrame) -> Picture:
    """Both panels of the figure: means over the seeds, and every seed as a thin line."""
    look = Look(spread=Spread("mean", "seeds"))
    with sheet():
        figure, panels = canvas(look, 1, 2)
        for axes, (column, (label, scale)) in zip(panels, PANELS.items(), strict=True):
            drawn = curves(runs, column, look.spread)
            span = int(drawn[0].labelled[0]), int(drawn[0].labelled[-1])
            draw_lines(axes, drawn, pens(curve.name for curve in drawn), span, look, scale)
            dress(axes, drawn, span)
            limit(axes, drawn, span, False, (0.0, 100.0), scale)
            axes.set_ylabel(label)
        return finish(figure, panels, look, seeds_note(drawn, look, bands=True))


def updates(runs: pd.DataFrame, column: str) -> dict[str, pd.DataFrame]:
    """A strategy's values in the panel's unit, a row an update and a column a seed."""
    scale = PANELS[column][1]
    return {str(name): scale * by_seed(part, column).iloc[1:] for name, part in runs.groupby("strategy")}


def means(runs: pd.DataFrame) -> Shown:
    """A row a strategy: the mean of both panels over the updates, and in how many updates it leads."""
    rows = []
    by_column = {column: updates(runs, column) for column in PANELS}
    for name, accuracies in by_column["test_accuracy"].items():
        cells = []
        for values in by_column.values():
            centre = pd.DataFrame({other: part.mean(axis=1) for other, part in values.items()})
            leads = int((centre[name] >= centre.max(axis=1)).sum())
            cells += [amount(*interval(values[name].mean())), f"{leads} of {len(centre)}"]
        last = amount(*interval(accuracies.iloc[-5:].mean()))
        rows.append((name, str(accuracies.shape[1]), *cells[:2], last, *cells[2:]))
    head = ("strategy", "seeds", "mean accuracy", "leads", "last 5 updates", "mean classes", "leads")
    return Shown("Means over the updates", "", head, tuple(rows))


def amount(mean: float, half: float, sign: str = "") -> str:
    """A mean and its half-width, which one seed does not have."""
    return f"{mean:{sign}.2f}" + ("" if isnan(half) else f" ± {half:.2f}")


def pairs(runs: pd.DataFrame) -> Shown:
    """A row a pair of strategies: the differences of the means over the updates in both panels."""
    cells: dict[str, list[str]] = {}
    for column in PANELS:
        over = {name: part.mean() for name, part in updates(runs, column).items()}
        tests = {(a, b): paired_test((over[a] - over[b]).dropna()) for a, b in combinations(over, 2)}
        for ((a, b), test), p in zip(tests.items(), holm([test.t_p for test in tests.values()]), strict=True):
            cells.setdefault(f"{a} - {b}", []).extend(
                [amount(test.mean, test.half, "+"), "-" if isnan(p) else f"{p:.3f}"]
            )
    rows = tuple((name, *own) for name, own in cells.items())
    return Shown("Every pair", "", ("pair", "accuracy", "p", "classes", "p"), rows)


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="holds the run folders, or a results.csv")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    runs = load(arguments.directory)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with sheet():
        figure1(runs).savefig(arguments.out / "figure1.png", dpi=150)
    tables = means(runs), pairs(runs)
    (arguments.out / "figure1.md").write_text("\n\n".join(table.as_markdown() for table in tables) + "\n")
    print("\n\n".join(table.as_text() for table in tables))


if __name__ == "__main__":
    main()
