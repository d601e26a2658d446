"""The options that commands share: the look of figures in a paper, and the price of a label."""

import argparse
from math import isfinite, nan
from pathlib import Path

import pandas as pd

from al_runner.analysis.draw.look import WIDTH, Look, in_order, inches
from al_runner.analysis.table.display import Names
from al_runner.analysis.table.metrics import ERROR, METRICS, Metric
from al_runner.analysis.table.names import curve_names
from al_runner.record.run_id import COMBINATION

FORMATS = ("png", "svg", "pdf")


def add_look(parser: argparse.ArgumentParser) -> None:
    """Add these options to a command."""
    add = parser.add_argument
    add_metric(parser)
    add_label(parser)
    add("--order", metavar="NAMES", help="curves that come first, in this order, with commas")
    add("--title", metavar="T", help='default: data set and net; "" for none')
    add("--width", metavar="W", help="of a figure, such as 3.25in, 8.3cm or 252pt; default: 6.3in")
    add("--format", choices=FORMATS, action="append", help="of figures; can be given often; default: png and svg")


def add_directories(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the folders of runs, and --out; `name` is the folder among the runs that is written to without it."""
    parser.add_argument(
        "directories",
        metavar="DIR",
        type=Path,
        nargs="+",
        help="holds run folders at any depth, or a results.csv; the runs of several are taken together",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help=f"where the files go; default: DIR/{name}, or DIR if it holds no runs; needed with several DIR",
    )


def add_label(parser: argparse.ArgumentParser) -> None:
    """Add only --label."""
    parser.add_argument(
        "--label",
        metavar="NAME=SHOWN",
        action="append",
        default=[],
        help='what a strategy, data set or net is called, e.g. kfac_vfe="KFAC-VFE"; can be given often',
    )


def add_cost(parser: argparse.ArgumentParser) -> None:
    """Add --cost-per-label."""
    parser.add_argument(
        "--cost-per-label",
        metavar="MONEY",
        type=money,
        help="the price of a label, such as 0.12; tables then say how much money a strategy saves",
    )


def add_metric(parser: argparse.ArgumentParser) -> None:
    """Add --metric, a Metric."""
    parser.add_argument(
        "--metric",
        metavar="NAME",
        type=metric,
        default=ERROR,
        help=f"what is compared: {', '.join(METRICS)}; default: {ERROR.name}, the test error",
    )


def metric(word: str) -> Metric:
    """A metric by its name. Raises ArgumentTypeError for an unknown name."""
    if word not in METRICS:
        raise argparse.ArgumentTypeError(f"there is no {word}; choose one of {', '.join(METRICS)}")
    return METRICS[word]


def money(word: str) -> float:
    """A price above 0. Raises ArgumentTypeError for any other text."""
    try:
        price = float(word)
    except ValueError:
        price = nan
    if not (isfinite(price) and price > 0):
        raise argparse.ArgumentTypeError(f"{word} is no price; give a number above 0, such as 0.12")
    return price


def names_of(options: argparse.Namespace, frame: pd.DataFrame) -> Names:
    """The names of --label. Raises UsageError for a name that is not in the tidy table."""
    parts = (set(frame[key]) for key in (*COMBINATION, "strategy"))
    return Names.of(options.label, set(curve_names(frame)).union(*parts))


def look_of(options: argparse.Namespace, frame: pd.DataFrame) -> Look:
    """The look that these options choose. Raises UsageError for a name that is not in the tidy table."""
    order = tuple(options.order.split(",")) if options.order else ()
    in_order(dict.fromkeys(curve_names(frame)), order)
    width = inches(options.width) if options.width else WIDTH
    return Look(
        names=names_of(options, frame), order=order, width=width, title=options.title or "", metric=options.metric
    )


def formats_of(options: argparse.Namespace) -> tuple[str, ...]:
    """The suffixes of figures' files."""
    return tuple(dict.fromkeys(options.format or ("png", "svg")))
