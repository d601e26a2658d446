"""The command al-report: run folders in; one self-contained HTML page out."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from al_runner.analysis.draw.options import add_cost, add_label, add_metric, names_of
from al_runner.analysis.report.page import page
from al_runner.analysis.report.source import Source
from al_runner.analysis.table.files import write
from al_runner.system.console import command, parsed, say


@command("al-report")
def main(argv: Sequence[str] | None = None) -> int:
    """Run al-report's command line. Returns 1 if a run is left out; 2, with a line on stderr, for a UsageError."""
    options = parsed(_parser(), argv)
    source = Source.of(
        options.directory,
        options.data.expanduser(),
        options.at,
        options.baseline,
        options.cost_per_label,
        options.metric,
    )
    source = replace(source, names=names_of(options, source.frame))
    for line in source.missing:
        say(f"al-report: {line}", file=sys.stderr)
    file = write(options.out or options.directory / "report.html", page(source).encode())
    kilobytes = file.stat().st_size / 1e3
    say(f"{file} ({kilobytes:.0f} kB)" if kilobytes < 1000 else f"{file} ({kilobytes / 1e3:.1f} MB)")
    return source.contents.code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="al-report", description="One HTML page to read and to send.")
    add = parser.add_argument
    add("directory", metavar="DIR", type=Path, help="holds run folders at any depth, or a results.csv")
    add("--out", metavar="FILE", type=Path, help="default: DIR/report.html")
    add("--at", metavar="LABELS", type=int, help="the end of the budget, in labels; default: the most that a run has")
    add("--baseline", metavar="NAME", help="the curve that the others are compared with; default: random")
    add_metric(parser)
    add_cost(parser)
    add_label(parser)
    root = Path(os.environ.get("AL_DATA") or "~/.cache/al-runner")
    add(
        "--data",
        metavar="DIR",
        type=Path,
        default=root,
        help="where data sets are prepared; default: AL_DATA, or ~/.cache/al-runner",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
