"""How many images of each class runs bought.

    python scripts/bought_by_class.py RUNS --labels 7,8,9 --out outputs/reproduced/small_measurements/galaxy

Reads acquired.csv of all runs below RUNS. Writes bought_by_class.csv: for every strategy, seed, round and label, how
many images were bought. Label -3 is of no class (pool=open_set). Prints how much of what each strategy bought has one
of --labels, in percent: the mean over seeds and the half-width of its 95% t interval. The initial set is the same for
all strategies of a seed and does not count.
"""

from argparse import ArgumentParser
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from al_runner.analysis.stats.intervals import interval


def counts(runs: Path) -> pd.DataFrame:
    """One row a run, round and label that was bought: strategy, seed, round, label, images."""
    tables = []
    for file in sorted(runs.rglob("acquired.csv")):
        images = pd.read_csv(file).groupby(["round", "label"]).size().reset_index(name="images")
        images.insert(0, "strategy", file.parts[-3])
        images.insert(1, "seed", int(file.parts[-2].removeprefix("seed")))
        tables.append(images)
    return pd.concat(tables)


def percentages(table: pd.DataFrame, labels: Collection[int]) -> pd.DataFrame:
    """Percent of the images bought after the initial set that have one of the labels, [strategies, seeds]."""
    later = table[table["round"] > 0]
    those = later["images"].where(later["label"].isin(labels), 0)
    runs = [later["strategy"], later["seed"]]
    return (100 * those.groupby(runs).sum() / later["images"].groupby(runs).sum()).unstack("seed")


def main(arguments: list[str] | None = None) -> None:
    parser = ArgumentParser(description="How many images of each class runs bought.")
    parser.add_argument("runs", type=Path)
    parser.add_argument("--labels", required=True, help="numbers of classes, with commas; --labels=-3 is of no class")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    table = counts(options.runs)
    options.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(options.out / "bought_by_class.csv", index=False)
    for strategy, row in percentages(table, [*map(int, options.labels.split(","))]).iterrows():
        values = row.dropna()  # of seeds that the strategy has
        mean, half = interval(values.to_numpy())
        print(f"{strategy}: {mean:.1f} ± {half:.1f}% have label {options.labels}, {len(values)} seeds")


if __name__ == "__main__":
    main()
