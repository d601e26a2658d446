"""Our runs of CDALBench's USPS protocol (Werner et al., 2024) beside the numbers of their own runs.

Reads the rounds.csv of al-run -m experiment=werner2024_usps. Writes per_run.csv (every run's accuracy after 400
purchases, and its mean over all 401 rounds) and table.md. p is that of Welch's test; theirs have 50 seeds each.

    python scripts/werner2024_usps.py outputs/usps --out outputs/reproduced/werner2024_usps
"""

from argparse import ArgumentParser
from pathlib import Path

import pandas as pd
from scipy.stats import ttest_ind_from_stats

SEEDS = 50
# Mean and standard deviation of the accuracy after 400 purchases (last rows of runs/USPS/1/*/accuracies.csv, commit
# 3dd5a0e), and of its mean over the rounds (results/auc_qs1.csv).
END = {"random": (0.8706, 0.0094), "margin": (0.9006, 0.0052)}
MEAN = {
    "random": (0.823, 0.009),
    "margin": (0.858, 0.006),
    "uncertainty": (0.846, 0.009),
    "entropy": (0.830, 0.011),
    "badge": (0.830, 0.008),
    "core_set": (0.767, 0.016),
}


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, help="a folder of runs")
    parser.add_argument("--out", type=Path, required=True, help="folder for per_run.csv and table.md")
    arguments = parser.parse_args()
    runs = per_run(arguments.runs)
    arguments.out.mkdir(parents=True, exist_ok=True)
    runs.to_csv(arguments.out / "per_run.csv", index=False)
    text = table(runs)
    (arguments.out / "table.md").write_text(text)
    print(text)


def per_run(folder: Path) -> pd.DataFrame:
    """A row for every finished run: strategy, seed, end, mean, both as accuracies."""
    rows = []
    for file in sorted(folder.rglob("rounds.csv")):
        rounds = pd.read_csv(file)
        strategy, seed = file.parts[-3], int(file.parts[-2].removeprefix("seed"))
        if rounds["labelled"].max() == 410:
            accuracy = rounds["test_accuracy"]
            rows.append((strategy, seed, accuracy.iloc[-1], accuracy.mean()))
    return pd.DataFrame(rows, columns=["strategy", "seed", "end", "mean"]).sort_values(["strategy", "seed"])


def table(runs: pd.DataFrame) -> str:
    """Both measures of every strategy in percent, mean +- standard deviation over seeds, here and there."""
    lines = [
        "| strategy | seeds | after 400, here | CDALBench | p | mean over the rounds, here | CDALBench | p |",
        "|---|---|---|---|---|---|---|---|",
    ]
    means = runs.groupby("strategy")["mean"].mean().sort_values(ascending=False)
    for strategy in means.index:
        own = runs[runs["strategy"] == strategy]
        cells = [*beside(own["end"], END.get(strategy)), *beside(own["mean"], MEAN.get(strategy))]
        lines.append(f"| {strategy} | {len(own)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def beside(own: "pd.Series[float]", theirs: tuple[float, float] | None) -> list[str]:
    """Our number, theirs and p, as cells of a table."""
    here = f"{100 * own.mean():.2f} ± {100 * own.std():.2f}"
    if theirs is None:
        return [here, "", ""]
    p = ttest_ind_from_stats(own.mean(), own.std(), len(own), *theirs, SEEDS, equal_var=False).pvalue
    return [here, f"{100 * theirs[0]:.2f} ± {100 * theirs[1]:.2f}", f"{p:.2f}"]


if __name__ == "__main__":
    main()
