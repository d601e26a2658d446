"""Tables 1 and 2 of Gal et al. (2017) from runs, with the published numbers, as CSV and Markdown.

    python scripts/gal2017_tables.py outputs/gal2017_mnist --out outputs/reproduced/gal2017_mnist

Table 1: images acquired, without the initial ones, until the test error is 10% and 5%, for the mean curve over seeds
and for the curve of every seed. If an error is not reached, `> N` says how many images were acquired. Table 2: test
error at 1,000 labels.
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from al_runner.analysis.stats.curves import by_seed, split_by_curve
from al_runner.analysis.stats.intervals import interval
from al_runner.analysis.table.published import published
from al_runner.analysis.table.runs import load

ERRORS = {"10%": ("acquired_to_error_10pct", 0.10), "5%": ("acquired_to_error_5pct", 0.05)}
LABELLED = 1000  # of table 2


def acquired_to(errors: pd.Series, goal: float) -> int | None:
    """Images acquired when the error is first `goal` or less; None if it never is.

    The index of `errors` is the number of labels, ascending.
    """
    reached = errors.index[errors <= goal]
    return int(reached[0] - errors.index[0]) if len(reached) else None


def table1(runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each curve and error: images acquired by the mean curve, by every seed's curve, and as published."""
    theirs = published("gal2017").set_index(["strategy", "metric"])["value"]
    rows = []
    for name, part in split_by_curve(runs).items():
        errors = by_seed(part, "test_error")
        for label, (metric, goal) in ERRORS.items():
            each = [acquired_to(errors[seed], goal) for seed in errors]
            rows.append(
                {
                    "strategy": name,
                    "error": label,
                    "acquired": acquired_to(errors.mean(axis=1), goal),
                    "by_seed": ", ".join("-" if count is None else str(count) for count in each),
                    "of": int(errors.index[-1] - errors.index[0]),
                    "published": theirs.get((name, metric)),
                }
            )
    return pd.DataFrame(rows).astype({"acquired": "Int64", "published": "Int64"})


def table2(runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each curve: test error in percent at 1,000 labels, as the mean over the seeds, and as published."""
    theirs = published("gal2017")
    theirs = theirs[theirs["metric"] == "test_error_pct"]
    ours = {}
    for name, part in split_by_curve(runs).items():
        there = interval(100 * part.loc[part["labelled"] == LABELLED, "test_error"])
        ours[name] = {"error": there.mean, "half": there.half, "seeds": int((part["labelled"] == LABELLED).sum())}
    names = [*ours, *(name for name in theirs["strategy"] if name not in ours)]
    values = theirs.set_index("strategy")["value"]
    rows = [{"strategy": name, **ours.get(name, {}), "published": values.get(name)} for name in names]
    return pd.DataFrame(rows).astype({"seeds": "Int64"})


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cell(value: object, form: str = "{}") -> str:
    return "" if pd.isna(value) else form.format(value)  # type: ignore[call-overload]


def table1_text(table: pd.DataFrame) -> str:
    rows = []
    for row in table.to_dict("records"):
        ours = cell(row["acquired"]) or f"> {row['of']}"
        rows.append([row["strategy"], row["error"], ours, row["by_seed"], cell(row["published"])])
    return markdown(["strategy", "test error", "acquired, mean curve", "by seed", "published"], rows)


def table2_text(table: pd.DataFrame) -> str:
    rows = []
    for row in table.to_dict("records"):
        ours = cell(row["error"], "{:.2f}") + cell(row["half"], " ± {:.2f}")
        rows.append([row["strategy"], ours, cell(row["published"], "{:.2f}")])
    return markdown(["technique", f"test error, percent, {LABELLED:,} labels", "published"], rows)


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="holds the run folders")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--learner", default="dropout_tuned", help="whose runs to take")
    arguments = parser.parse_args()
    runs = load(arguments.directory)
    runs = runs[runs["learner"] == arguments.learner]
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, table, text in (("table1", table1(runs), table1_text), ("table2", table2(runs), table2_text)):
        table.to_csv(arguments.out / f"{name}.csv", index=False)
        (arguments.out / f"{name}.md").write_text(text(table))
        print(f"{name}\n{text(table)}")


if __name__ == "__main__":
    main()
