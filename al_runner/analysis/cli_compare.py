"""The command al-compare: run folders in; tables out that say who is better, by how much and how surely."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from itertools import chain
from math import nan

from al_runner.analysis.draw.critical import critical_differences
from al_runner.analysis.draw.forest import forests
from al_runner.analysis.draw.options import add_cost, add_directories, add_look, formats_of, look_of
from al_runner.analysis.draw.save import save_all
from al_runner.analysis.table.names import across, only
from al_runner.analysis.table.runs import out_folder
from al_runner.analysis.table.several import find_all
from al_runner.analysis.tell.comparison import Comparison, save_tables
from al_runner.analysis.tell.latex import COLUMNS, DEFAULT, chosen
from al_runner.analysis.tell.notes import left_out, unlike
from al_runner.analysis.tell.verdict import all_gaps
from al_runner.system.console import command, parsed, say


@command("al-compare")
def main(argv: Sequence[str] | None = None) -> int:
    """Run al-compare's command line. Returns 1 if a run is left out; 2, with a line on stderr, for a UsageError."""
    options = parsed(_parser(), argv)
    contents = find_all(options.directories)
    runs = only(across(contents.frame, options.across), options.only)
    look, columns = look_of(options, runs), chosen(options.columns)
    comparison = Comparison.of(
        runs, options.at, options.baseline, targets_of(options), options.last, options.cost_per_label, options.metric
    )
    notes = [*left_out(contents), *all_gaps(comparison.cases), *unlike(runs, contents.configs)]
    for line in notes:
        say(f"al-compare: {line}", file=sys.stderr)
    out = options.out or out_folder(options.directories, contents, "compare")
    command_line = shlex.join(["al-compare", *(sys.argv[1:] if argv is None else argv)])
    written = save_tables(comparison, out, look.names, columns, notes, command_line)
    for name, figure in chain(forests(comparison.cases, look), critical_differences(comparison.cases, look)):
        written += save_all(figure, [out / f"{name}.{suffix}" for suffix in formats_of(options)])
    if options.full:
        tables = comparison.shown()
    else:
        saved = comparison.shown_saved() if options.cost_per_label else []
        tables = [*comparison.shown_results(), *saved, *comparison.shown_stopping()]
    say("\n\n".join([*comparison.verdicts(), *(table.as_text() for table in tables)]))
    say("", "written:", *map(str, written))
    return contents.code


def target(word: str) -> float:
    """An error in percent, or a value of a metric that is no fraction, in (0, 100).

    Raises ArgumentTypeError for any other text.
    """
    try:
        value = float(word)
    except ValueError:
        value = nan
    if not 0 < value < 100:
        raise argparse.ArgumentTypeError(f"{word} is no error in percent; give one between 0 and 100")
    return value


def targets_of(options: argparse.Namespace) -> list[float] | None:
    """The losses of --target as the tables hold them, or None if none is given."""
    return None if options.target is None else [value / options.metric.scale for value in options.target]


def rounds(word: str) -> int:
    """A number of rounds, 1 or more. Raises ArgumentTypeError for any other text."""
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word} is no number of rounds; give 1 or more")
    return int(word)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="al-compare", description="Which strategy is better, by how much, how surely."
    )
    add = parser.add_argument
    add_directories(parser, "compare")
    add("--full", action="store_true", help="print every table, every pair too; compare.md has them all anyway")
    add("--at", metavar="LABELS", type=int, help="the end of the budget, in labels; default: the most that a run has")
    add(
        "--last",
        metavar="ROUNDS",
        type=rounds,
        help="how many last rounds the final error is the mean of; default: a tenth of them, at most 10",
    )
    add("--baseline", metavar="NAME", help="the curve that the others are compared with; default: random")
    add("--target", metavar="PERCENT", type=target, action="append", help="an error to reach; can be given often")
    add_cost(parser)
    add(
        "--across",
        metavar="KEYS",
        help="also compare curves that differ in learner, model, ...: random-plain, bald-ensemble",
    )
    add("--only", metavar="NAMES", help="strategies to compare, with commas; default: all")
    add(
        "--columns",
        metavar="NAMES",
        help=f"of compare.tex, with commas: {', '.join(COLUMNS)}; default: {','.join(DEFAULT)}",
    )
    add_look(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
