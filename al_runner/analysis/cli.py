"""The command al-plot: run folders in; results.csv, summary.csv and figures out."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from al_runner.analysis.draw.figures import Look, differences, facets, learning_curves, times
from al_runner.analysis.draw.save import save
from al_runner.analysis.stats.curves import Spread
from al_runner.analysis.stats.results import summarise
from al_runner.analysis.table.files import as_csv, stem, write
from al_runner.analysis.table.names import across, all_truth, case_title, columns, only
from al_runner.analysis.table.rows import BASELINE
from al_runner.analysis.table.runs import load
from al_runner.analysis.tell.notes import notes
from al_runner.analysis.tell.tables import shown_results
from al_runner.errors import UsageError
from al_runner.record.run_id import COMBINATION
from al_runner.system.console import command

FORMATS = ("png", "svg", "pdf")


@dataclass(frozen=True)
class Plan:
    """What al-plot draws of a folder."""

    look: Look = field(default_factory=Look)
    title: str | None = None  # None: chosen
    difference: bool = False
    time: bool = False
    facet: tuple[str, ...] = ()
    formats: tuple[str, ...] = ("png", "svg")
    across: str | None = None  # what curves of one figure may differ in beside the strategy, with commas
    only: str | None = None  # curves that are drawn, with commas; None: all


@command("al-plot")
def main(argv: Sequence[str] | None = None) -> int:
    """Run al-plot's command line; 2 and one line on stderr where something is the user's to mend, else 0."""
    options = _parser().parse_args(argv)
    written = plot(options.directory, options.out or options.directory, _plan(options))
    print("\n" + "\n".join(map(str, written)))
    return 0


def plot(directory: Path, out: Path, plan: Plan) -> list[Path]:
    """Write everything al-plot writes into `out`, print the table, and return the files."""
    frame = load(directory)
    for note in notes(directory, frame):
        print(f"al-plot: {note}", file=sys.stderr)
    summary = summarise(frame)
    written = [write(out / "results.csv", as_csv(frame)), write(out / "summary.csv", as_csv(summary))]
    for name, figure in draw(only(across(frame, plan.across), plan.only), plan):
        written += [save(figure, out / f"{name}.{suffix}") for suffix in plan.formats]
    print("\n\n".join(table.as_text() for table in shown_results(summary, BASELINE)))
    return written


def draw(frame: pd.DataFrame, plan: Plan) -> Iterator[tuple[str, Figure]]:
    """The figures with their file names, without suffix: for every combination, or one for all with facets."""
    if plan.facet:
        yield _stem("facets", (), plan.look), facets(frame, plan.facet, replace(plan.look, title=plan.title or ""))
        return
    combinations = {tuple(map(str, key)): runs for key, runs in frame.groupby(list(COMBINATION), sort=True)}
    for key, runs in combinations.items():
        if all_truth(runs):
            print(f"al-plot: no figure for {', '.join(key)}: it has no strategy but full", file=sys.stderr)
            continue
        title = case_title(key, list(combinations)) if plan.title is None else plan.title
        look = replace(plan.look, title=title)
        names = key if len(combinations) > 1 else ()
        yield _stem("", names, look), learning_curves(runs, look)
        if plan.difference:
            yield _stem("difference", names, look), differences(runs, look)
        if plan.time:
            yield stem("time", names), times(runs, look)


def _stem(kind: str, names: Sequence[str], look: Look) -> str:
    """The file name of a figure; a running minimum is never filed as the test error."""
    accuracy = look.accuracy and kind != "difference"
    what = f"{'best_' if look.best else ''}test_{'accuracy' if accuracy else 'error'}{'_' if kind else ''}{kind}"
    return stem(what, names)


def _plan(options: argparse.Namespace) -> Plan:
    if options.split is not None and options.split < 1:
        raise UsageError(f"--split is {options.split}; it must be a number of labels, 1 or more")
    interval = options.interval or ("bootstrap" if options.median else "t")
    look = Look(
        best=options.best,
        accuracy=options.accuracy,
        log=options.log,
        split=options.split,
        spread=Spread("median" if options.median else "mean", interval),
        published=None if options.published is None else tuple(options.published),
    )
    facet = columns(options.facet, "--facet") if options.facet else ()
    formats = tuple(options.format or ("png", "svg"))
    return Plan(look, options.title, options.difference, options.time, facet, formats, options.across, options.only)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="al-plot", description="Curves and tables of all runs under a folder.")
    add = parser.add_argument
    add("directory", metavar="DIR", type=Path, help="holds run folders at any depth, or a results.csv")
    add("--out", metavar="DIR", type=Path, help="where the files go; default: DIR")
    add("--best", action="store_true", help="draw the lowest test error so far (a running minimum)")
    add("--accuracy", action="store_true", help="draw accuracy in place of error")
    add("--median", action="store_true", help="median in place of mean, with a bootstrap interval")
    add("--interval", choices=("t", "bootstrap", "seeds"), help="95%% band, or every seed as a thin line; default: t")
    add("--difference", action="store_true", help="also the differences to random, paired by seed")
    add("--time", action="store_true", help="also the seconds per round")
    add("--facet", metavar="KEYS", help="one figure with a panel a value of these, e.g. dataset or model,budget")
    add(
        "--across", metavar="KEYS", help="curves of different learners, say, in one figure: random-plain, bald-ensemble"
    )
    add("--published", metavar="PAPER", nargs="*", help="overlay published results; default: of all papers there are")
    add("--split", metavar="LABELS", type=int, help="where the right panel begins; default: chosen")
    add("--only", metavar="NAMES", help="curves to draw, with commas; the tables hold all")
    add("--log", action="store_true", help="logarithmic error axis")
    add("--title", metavar="T", help='default: data set and model; "" for none')
    add("--format", choices=FORMATS, action="append", help="can be given often; default: png and svg")
    return parser


if __name__ == "__main__":
    sys.exit(main())
