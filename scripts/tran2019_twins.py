"""Figure 3 and proposition 2.1 of Tran et al. (2019): how near twins are to bought images, and how informative.

    python scripts/tran2019_twins.py RUNS --out outputs/reproduced/tran2019_mnist

Reads queries.csv of all runs with a generator. It has the distance ||x' - x*|| with pixels in [0, 1]; BALD's mutual
information a(x), in nats, of bought images, of their twins x' and of other generated images of the same labels; and the
share of twins that the classifier gives their label. All numbers are from the nets that chose the query. Lines are
means over runs; bands go from the lowest to the highest run. Writes twins.csv and twins.png.
"""

from argparse import ArgumentParser
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PANELS = {
    "distance ||x' - x*||": {"twin_distance": "twins"},
    "mutual information a, nats": {"bought_score": "bought", "twin_score": "twins", "made_score": "generated"},
    "twins with c(x') = y, %": {"twin_agreement": "twins"},
}
COLOURS = {"bought": "#000000", "twins": "#d55e00", "generated": "#0072b2"}


def measured(runs: Path) -> pd.DataFrame:
    """The facts of all queries: round, name, value, arm (strategy and the folder above it), seed, labelled."""
    parts = []
    for file in sorted(runs.rglob("queries.csv")):
        facts = pd.read_csv(file)
        if "made_score" not in set(facts["name"]):
            continue
        labelled = pd.read_csv(file.with_name("rounds.csv")).set_index("round")["labelled"]
        strategy, seed = file.parts[-3:-1]
        arm = f"{strategy}, {file.parts[-4]}"
        parts.append(facts.assign(arm=arm, seed=seed, labelled=(facts["round"] - 1).map(labelled)))
    return pd.concat(parts, ignore_index=True)


def draw(axes: Axes, facts: pd.DataFrame, name: str, label: str, scale: float) -> None:
    """Draw one fact against the number of labels that the nets were trained on."""
    values = facts[facts["name"] == name].groupby("labelled")["value"].agg(["mean", "min", "max"]) * scale
    axes.plot(values.index, values["mean"], ".-", color=COLOURS[label], label=label)
    axes.fill_between(values.index, values["min"], values["max"], color=COLOURS[label], alpha=0.15, linewidth=0)


def drawn(table: pd.DataFrame) -> Figure:
    """A row of panels for each arm."""
    arms = sorted(table["arm"].unique())
    with mpl.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(8.4, 2.4 * len(arms)), layout="constrained")
        grid = figure.subplots(len(arms), len(PANELS), squeeze=False, sharex=True)
        for arm, row in zip(arms, grid, strict=True):
            facts = table[table["arm"] == arm]
            for axes, (title, names) in zip(row, PANELS.items(), strict=True):
                if not set(names) & set(facts["name"]):
                    axes.set_axis_off()
                    continue
                for name, label in names.items():
                    if name in set(facts["name"]):
                        draw(axes, facts, name, label, 100.0 if title.endswith("%") else 1.0)
                axes.tick_params(labelbottom=True)
                axes.set_ylabel(title)
                axes.set_ylim(bottom=0)
                axes.set_xlabel("labelled images of the nets")
                if len(names) > 1:
                    axes.legend(frameon=False)
            row[0].set_title(arm, loc="left", fontsize=7)
    return figure


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    table = measured(options.runs)
    table.to_csv(options.out / "twins.csv", index=False)
    drawn(table).savefig(options.out / "twins.png", dpi=200)
    means = table.groupby(["arm", "labelled", "name"])["value"].mean().unstack()
    print(means.round(3).to_string())
