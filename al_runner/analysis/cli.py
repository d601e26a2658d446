"""The command al-plot: run folders in; results.csv, summary.csv and figures out."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from al_runner.analysis.draw.figures import differences, facets, learning_curves, times
from al_runner.analysis.draw.look import Look
from al_runner.analysis.draw.options import add_directories, add_look, formats_of, look_of
from al_runner.analysis.draw.save import save_all
from al_runner.analysis.draw.style import Picture
from al_runner.analysis.stats.curves import Spread
from al_runner.analysis.stats.results import summarise
from al_runner.analysis.table.files import as_csv, stem, write
from al_runner.analysis.table.metrics import ERROR, stem_of
from al_runner.analysis.table.names import (
    across,
    all_truth,
    case_title,
    case_words,
    columns,
    common_seeds,
    curve_names,
    only,
)
from al_runner.analysis.table.rows import BASELINE
from al_runner.analysis.table.runs import out_folder
from al_runner.analysis.table.several import find_all
from al_runner.analysis.tell.notes import notes
from al_runner.analysis.tell.tables import shown_results
from al_runner.errors import UsageError
from al_runner.record.run_id import COMBINATION
from al_runner.system.console import command, parsed, say


@command("al-plot")
def main(argv: Sequence[str] | None = None) -> int:
    """Run al-plot's command line. Returns 1 if a run is left out; 2, with a line on stderr, for a UsageError."""
    options = parsed(_parser(), argv)
    contents = find_all(options.directories)
    out, frame = options.out or out_folder(options.directories, contents, "plots"), contents.frame
    drawn = only(across(frame, options.across), options.only)
    drawn = common_seeds(drawn) if options.common else drawn
    look = _look(options, drawn)
    for note in notes(contents):
        say(f"al-plot: {note}", file=sys.stderr)
    summary = summarise(frame, look.metric)
    written = [
        write(out / "results.csv", as_csv(frame)),
        write(out / f"{stem_of(look.metric, 'summary')}.csv", as_csv(summary)),
    ]
    for name, figure in _figures(drawn, look, options):
        written += save_all(figure, [out / f"{name}.{suffix}" for suffix in formats_of(options)])
    say("\n\n".join(table.as_text() for table in shown_results(summary, BASELINE, look.metric)))
    say("", "written:", *map(str, written))
    return contents.code


def _figures(frame: pd.DataFrame, look: Look, options: argparse.Namespace) -> Iterator[tuple[str, Picture]]:
    """The figures with their file names without suffix: some for every combination, or one for all with --facet."""
    if options.facet:
        yield _stem("facets", (), look), facets(frame, columns(options.facet, "--facet"), look)
        return
    combinations = {tuple(map(str, key)): runs for key, runs in frame.groupby(list(COMBINATION), sort=True)}
    for key, runs in combinations.items():
        if all_truth(runs):
            say(f"al-plot: no figure for {case_words(key)}: full is its only strategy", file=sys.stderr)
            continue
        title = look.names.title(case_title(key, list(combinations))) if options.title is None else options.title
        own = replace(look.within(curve_names(runs)), title=title)
        names = key if len(combinations) > 1 else ()
        yield _stem("", names, own), learning_curves(runs, own)
        if options.difference:
            others = replace(own, order=tuple(name for name in own.order if name != BASELINE))
            yield _stem("difference", names, own), differences(runs, others)
        if options.time:
            yield stem("time", names), times(runs, own)


def _stem(kind: str, names: Sequence[str], look: Look) -> str:
    """The file name of a figure; a running minimum has another name than the test error, and so has another metric."""
    accuracy = look.accuracy and kind != "difference"
    value = f"test_{'accuracy' if accuracy else 'error'}" if look.metric == ERROR else look.metric.name
    what = f"{'best_' if look.best else ''}{value}{'_' if kind else ''}{kind}"
    return stem(what, names)


def _look(options: argparse.Namespace, frame: pd.DataFrame) -> Look:
    interval = options.interval or ("bootstrap" if options.median else "t")
    return replace(
        look_of(options, frame),
        best=options.best,
        accuracy=options.accuracy or (options.metric.gained and not options.log),
        log=options.log,
        split=_split(options.split),
        spread=Spread("median" if options.median else "mean", interval),
        published=None if options.published is None else tuple(options.published),
    )


def _split(word: str | None) -> int | None:
    if word is None:
        return None
    if word == "none":
        return 0
    if not word.isdecimal() or int(word) < 1:
        raise UsageError(f"--split is {word}; it must be a number of labels, 1 or more, or none for one panel")
    return int(word)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="al-plot", description="Curves and tables of all runs under a folder.")
    add = parser.add_argument
    add_directories(parser, "plots")
    add("--best", action="store_true", help="draw the lowest test error so far (a running minimum)")
    add("--accuracy", action="store_true", help="draw accuracy in place of error")
    add("--log", action="store_true", help="logarithmic error axis")
    add("--median", action="store_true", help="median in place of mean, with a bootstrap interval")
    add("--interval", choices=("t", "bootstrap", "seeds"), help="95%% band, or every seed as a thin line; default: t")
    add("--difference", action="store_true", help="also the differences to random, paired by seed")
    add("--time", action="store_true", help="also the seconds per round")
    add(
        "--facet",
        metavar="KEYS",
        help="one figure with one panel for each value of these, e.g. dataset or model,budget",
    )
    add(
        "--across", metavar="KEYS", help="curves of different learners, say, in one figure: random-plain, bald-ensemble"
    )
    add("--published", metavar="PAPER", nargs="*", help="overlay published results; default: of all papers there are")
    add("--split", metavar="LABELS", help="where the right panel begins, or none for one panel; default: chosen")
    add("--common", action="store_true", help="draw only the seeds that all curves of a figure share")
    add("--only", metavar="NAMES", help="curves to draw, with commas; the tables hold all")
    add_look(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
