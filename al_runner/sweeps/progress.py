"""The progress that a user sees: a line for each round, or, on a terminal, what live.py draws."""

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from al_runner.record.state import LAUNCH

log = logging.getLogger(__name__)

Row = Mapping[str, Any]
BARS = "▁▂▃▄▅▆▇█"
LAST = 5  # rounds whose mean time stands for a round to come
ROUND = "al_round"  # attribute of the log's records that a live line takes the place of


class Lines:
    """Shows progress as lines of the log."""

    def begun(self, title: str, header: Sequence[str]) -> None:
        """A run starts or goes on; `header` says in lines what it is."""
        for line in header:
            log.info("%s | %s", title, line)

    def opened(self, title: str, rounds: int, rows: Sequence[Row]) -> None:
        """A run of `rounds` rounds begins; `rows` are its recorded rounds."""
        if len(rows) == rounds:
            log.info("%s | finished already, nothing to do (overwrite=true starts anew)", title)
        elif rows:
            log.info("%s | resumed after round %d of %d", title, len(rows) - 1, rounds - 1)

    def measured(self, title: str, rounds: int, row: Row) -> None:
        """A round is recorded."""
        select = f"{row['select_seconds']:6.2f} s" if row["select_seconds"] != "" else "       -"
        log.info(
            "%s | round %*d/%d | %5d labelled | test error %6.2f %% | fit %6.2f s | select %s",
            title,
            len(str(rounds - 1)),
            row["round"],
            rounds - 1,
            row["labelled"],
            100 * row["test_error"],
            row["fit_seconds"],
            select,
            extra={ROUND: True},
        )

    def failed(self, title: str, why: str | None) -> None:
        """The exception that is being handled ended a run. Shows `why`, or a trace if `why` is None."""
        log.error("%s failed: %s", title, why) if why else log.exception("%s failed", title)

    def handlers(self, handlers: Sequence[logging.Handler]) -> list[logging.Handler]:
        """The log handlers of a job that stay in use."""
        return list(handlers)


def span(values: Iterator[float]) -> str:
    """The smallest and the largest number, or one number if all are equal; `values` must not be empty."""
    numbers = sorted(map(int, values))
    return f"{numbers[0]}" if numbers[0] == numbers[-1] else f"{numbers[0]}-{numbers[-1]}"


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """A curve as one line of bars, for at most `width` evenly spaced values; the lowest bar is the lowest value."""
    last = len(values) - 1
    shown = [values[round(i * last / (width - 1))] for i in range(width)] if len(values) > width else list(values)
    low, high = min(shown, default=0.0), max(shown, default=0.0)
    return "".join(BARS[round((value - low) / (high - low or 1) * (len(BARS) - 1))] for value in shown)


def duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def round_seconds(row: Row) -> float:
    """The seconds of a round, for its fit and its query; a query without a known time counts as 0."""
    select = row["select_seconds"]
    return float(row["fit_seconds"]) + (float(select) if select != "" and select > 0 else 0.0)


def seconds_left(rows: Sequence[Row], rounds: int) -> float | None:
    """Seconds for the rounds of `rounds` that are not in `rows` yet, by the LAST rows; None if there is no row."""
    recent = [round_seconds(row) for row in rows[-LAST:]]
    return (rounds - len(rows)) * sum(recent) / len(recent) if recent else None


@contextmanager
def run_progress() -> Iterator[Lines]:
    """For one run: a live line on a terminal, otherwise lines of the log, as also for a part of a sweep."""
    if LAUNCH in os.environ or not sys.stdout.isatty():
        yield Lines()
        return
    from al_runner.sweeps.live import live_line  # noqa: PLC0415 - rich, which only a terminal needs

    with live_line() as progress:
        yield progress


@contextmanager
def sweep_progress(jobs: int) -> Iterator[Lines]:
    """For runs in lock-step: a live table on a terminal, otherwise lines of the log."""
    if not sys.stdout.isatty():
        yield Lines()
        return
    from al_runner.sweeps.live import live_table  # noqa: PLC0415 - as above

    with live_table(jobs) as progress:
        yield progress
