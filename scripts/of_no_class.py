"""How many of the images that runs bought are of no class (pool=open_set).

    python scripts/of_no_class.py RUNS --out outputs/reproduced/small_measurements/open_set

Reads queries.csv of all runs below RUNS. Writes of_no_class.csv: for every round, strategy and seed, how many images of
the query were of no class. Prints the percentage of each strategy: the mean over seeds and the half-width of its 95% t
interval. The initial set is the same for all strategies of a seed and does not count.
"""

from argparse import ArgumentParser
from pathlib import Path

import pandas as pd

from al_runner.analysis.stats.intervals import interval


def counts(runs: Path) -> pd.DataFrame:
    """One row a run and round: strategy, seed, round, how many images were bought, and how many are of no class."""
    rows = []
    for file in sorted(runs.rglob("queries.csv")):
        facts = pd.read_csv(file)
        of_none = facts[facts["name"] == "of_no_class"]
        bought = of_none["round"].map(pd.read_csv(file.with_name("acquired.csv")).groupby("round").size())
        strategy, seed = file.parts[-3], int(file.parts[-2].removeprefix("seed"))
        counted = zip(of_none["round"], bought, of_none["value"].astype(int), strict=True)
        rows += [(strategy, seed, *row) for row in counted]
    return pd.DataFrame(rows, columns=["strategy", "seed", "round", "bought", "of_no_class"])


def percentages(table: pd.DataFrame) -> pd.DataFrame:
    """Percent of the images bought after the initial set that are of no class, [strategies, seeds]."""
    later = table[table["round"] > 0].groupby(["strategy", "seed"])[["bought", "of_no_class"]].sum()
    return (100 * later["of_no_class"] / later["bought"]).unstack("seed")


def main(arguments: list[str] | None = None) -> None:
    parser = ArgumentParser(description="How many of the images that runs bought are of no class.")
    parser.add_argument("runs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    table = counts(options.runs)
    options.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(options.out / "of_no_class.csv", index=False)
    for strategy, values in percentages(table).iterrows():
        mean, half = interval(values.to_numpy())
        print(f"{strategy}: {mean:.1f} ± {half:.1f}% of no class, {len(values)} seeds")


if __name__ == "__main__":
    main()
