"""The command al-plot: run folders in; results.csv, summary.csv and figures out."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from al_runner.analysis.figures import compare
from al_runner.analysis.files import as_csv, save, write
from al_runner.analysis.notes import notes
from al_runner.analysis.runs import COMBINATION, load
from al_runner.analysis.summary import as_text, summarise
from al_runner.errors import UsageError


class Look(NamedTuple):
    """How the figures are drawn."""

    best: bool
    split: int | None
    log: bool
    title: str | None


def main(argv: Sequence[str] | None = None) -> int:
    """Run al-plot's command line; 2 and one line on stderr where something is the user's to mend, else 0."""
    options = _parser().parse_args(argv)
    look = Look(options.best, options.split, options.log, options.title)
    try:
        written = plot(options.directory, options.out or options.directory, look)
    except UsageError as error:
        print(f"al-plot: {error}", file=sys.stderr)
        return 2
    print("\n" + "\n".join(map(str, written)))
    return 0


def plot(directory: Path, out: Path, look: Look) -> list[Path]:
    """Write everything al-plot writes into `out`, print the table, and return the files."""
    if look.split is not None and look.split < 1:
        raise UsageError(f"--split is {look.split}; it must be a number of labels, 1 or more")
    frame = load(directory)
    for note in notes(directory, frame):
        print(f"al-plot: {note}", file=sys.stderr)
    summary = summarise(frame)
    written = [write(out / "results.csv", as_csv(frame)), write(out / "summary.csv", as_csv(summary))]
    written += draw(frame, out, look)
    print(as_text(summary))
    return written


def draw(frame: pd.DataFrame, out: Path, look: Look) -> list[Path]:
    """One figure a combination, as PNG and SVG."""
    written = []
    combinations = {tuple(map(str, key)): runs for key, runs in frame.groupby(list(COMBINATION), sort=True)}
    for key, runs in combinations.items():
        if (runs["strategy"] == "full").all():
            print(f"al-plot: no figure for {', '.join(key)}: it has no strategy but full", file=sys.stderr)
            continue
        title = default_title(key, list(combinations)) if look.title is None else look.title
        figure = compare(runs, look.best, look.split, look.log, title)
        stem = figure_stem(key, alone=len(combinations) == 1, best=look.best)
        written += [save(figure, out / f"{stem}{suffix}") for suffix in (".png", ".svg")]
    return written


def figure_stem(key: Sequence[str], alone: bool, best: bool) -> str:
    """The file name of a combination's figure; a running minimum is never filed as the test error."""
    parts = ["best_test_error" if best else "test_error", *([] if alone else key)]
    return "-".join(part.replace("/", "_") for part in parts)


def default_title(key: Sequence[str], others: Sequence[Sequence[str]]) -> str:
    """Data set and model, and whatever else tells this figure from the others."""
    return ", ".join(part for i, part in enumerate(key) if i < 2 or len({other[i] for other in others}) > 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="al-plot", description="Curves and tables of all runs under a folder.")
    parser.add_argument("directory", metavar="DIR", type=Path, help="holds run folders at any depth, or a results.csv")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where the files go; default: DIR")
    parser.add_argument("--best", action="store_true", help="draw the lowest test error so far (a running minimum)")
    parser.add_argument("--split", metavar="LABELS", type=int, help="where the right panel begins; default: chosen")
    parser.add_argument("--log", action="store_true", help="logarithmic error axis")
    parser.add_argument("--title", metavar="T", help='default: data set and model; "" for none')
    return parser


if __name__ == "__main__":
    sys.exit(main())
