"""The figure that al-run draws into a run's folder."""

from pathlib import Path

from al_runner.analysis.draw.look import LABELLED, LOWEST
from al_runner.analysis.draw.save import save
from al_runner.analysis.draw.style import Picture, sheet
from al_runner.analysis.table.names import curve_names
from al_runner.analysis.table.runs import read_run, table
from al_runner.errors import UsageError


def draw_run(folder: Path) -> Path:
    """Draw one run's errors in percent against labelled images into `folder`/curve.png, and return that path.

    Raises UsageError if no round is finished yet.
    """
    rows = read_run(Path(folder), Path(folder))
    if not rows:
        raise UsageError(f"{folder} has no finished round to draw yet; wait for the first")
    run = table(rows)
    with sheet():
        figure = Picture(figsize=(5, 3.4), layout="constrained")
        axes = figure.subplots()
        marker = "o" if len(run) == 1 else ""  # strategy full has a single round, which gives no line
        shown = (
            ("val_error", "validation error", {"color": "#888888", "linewidth": 0.6}),
            ("best_test_error", LOWEST.format("test error", ""), {"color": "#000000", "linestyle": "--"}),
            ("test_error", "test error", {"color": "#0072B2"}),
        )
        for column, label, drawn in shown:
            axes.plot(run["labelled"], 100 * run[column], label=label, marker=marker, markersize=5, **drawn)
        axes.grid(axis="y", color="#DDDDDD", linewidth=0.5)
        axes.set_ylim(bottom=0)
        axes.set(xlabel=LABELLED, ylabel="error (%)")
        axes.set_title(f"{run['dataset'][0]}, {run['model'][0]}: {curve_names(run)[0]}, seed {run['seed'][0]}")
        figure.legend(loc="outside lower center", ncols=3)
    return save(figure, Path(folder) / "curve.png")
