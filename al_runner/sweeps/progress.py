"""The progress that a user sees: one line for each round, or a live table for a sweep."""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import mean, stdev
from time import monotonic
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

log = logging.getLogger(__name__)

Row = Mapping[str, Any]
BARS = "▁▂▃▄▅▆▇█"


class Lines:
    """Shows progress as lines of the log."""

    def opened(self, label: str, rounds: int, rows: Sequence[Row]) -> None:
        """A run of `rounds` rounds begins; `rows` are its recorded rounds."""
        if len(rows) == rounds:
            log.info("%s | finished already, nothing to do (overwrite=true starts anew)", label)
        elif rows:
            log.info("%s | resumed after round %d of %d", label, len(rows) - 1, rounds - 1)

    def measured(self, label: str, rounds: int, row: Row) -> None:
        """A round is recorded."""
        select = f"{row['select_seconds']:6.2f} s" if row["select_seconds"] != "" else "       -"
        log.info(
            "%s | round %*d/%d | %5d labelled | test error %6.2f %% | fit %6.2f s | select %s",
            label,
            len(str(rounds - 1)),
            row["round"],
            rounds - 1,
            row["labelled"],
            100 * row["test_error"],
            row["fit_seconds"],
            select,
        )

    def failed(self, label: str, why: str | None) -> None:
        """The exception that is being handled ended a run. Shows `why`, or a trace if `why` is None."""
        log.error("%s failed: %s", label, why) if why else log.exception("%s failed", label)

    def handlers(self, handlers: Sequence[logging.Handler]) -> list[logging.Handler]:
        """The log handlers of a job that stay in use."""
        return list(handlers)


class LiveTable(Lines):
    """Shows a table on the terminal with one line for all seeds of a strategy; a run's own lines go to its log file."""

    SECONDS = 0.5  # between two drawings

    def __init__(self, live: Live, jobs: int):
        self._live, self._jobs = live, jobs
        self._rounds: dict[str, int] = {}
        self._rows: dict[str, Row] = {}
        self._errors: dict[str, list[float]] = {}
        self._failed: set[str] = set()
        self._start, self._drawn, self._recorded = monotonic(), 0.0, 0

    def opened(self, label: str, rounds: int, rows: Sequence[Row]) -> None:
        super().opened(label, rounds, rows)
        self._rounds[label] = rounds
        self._errors[label] = [float(row["test_error"]) for row in rows]
        if rows:
            self._rows[label] = {name: float(rows[-1][name]) for name in ("round", "labelled", "test_error")}
        self.draw()

    def measured(self, label: str, rounds: int, row: Row) -> None:
        super().measured(label, rounds, row)
        self._rows[label] = row
        self._errors.setdefault(label, []).append(float(row["test_error"]))
        self._recorded += 1
        if monotonic() - self._drawn > self.SECONDS:
            self.draw()

    def failed(self, label: str, why: str | None) -> None:
        super().failed(label, why)
        self._failed.add(label)
        self.draw()

    def handlers(self, handlers: Sequence[logging.Handler]) -> list[logging.Handler]:
        return [handler for handler in handlers if isinstance(handler, logging.FileHandler)]

    def draw(self) -> None:
        """Show the table as it is now."""
        self._drawn = monotonic()
        self._live.update(self.table(self._drawn - self._start), refresh=True)

    def table(self, elapsed: float) -> Table:
        """The sweep after `elapsed` seconds."""
        groups: dict[str, list[str]] = {}
        for label in {**self._rounds, **dict.fromkeys(sorted(self._failed))}:
            groups.setdefault(label.rpartition(" seed ")[0], []).append(label)
        table = Table(title=f"{self._jobs} runs in lock-step", caption=self._caption(elapsed), box=SIMPLE_HEAD)
        table.title_justify = table.caption_justify = "left"
        table.add_column("run")
        for name in ("seeds done", "round", "labelled", "test error % (± SD)"):
            table.add_column(name, justify="right")
        table.add_column("so far")
        for name, labels in groups.items():
            table.add_row(escape(name), *self._cells(labels), self._curve(labels))
        return table

    def _cells(self, labels: Sequence[str]) -> tuple[str, ...]:
        rows = [self._rows[label] for label in labels if label in self._rows]
        done = sum(label in self._rows and self._done(label) == self._rounds[label] for label in labels)
        failed = len(self._failed.intersection(labels))
        seeds = f"{done}/{len(labels)}" + (f", [red]{failed} failed[/red]" if failed else "")
        if not rows:
            return seeds, "", "", ""
        last = max((self._rounds[label] for label in labels if label in self._rounds), default=1) - 1
        errors = [100 * row["test_error"] for row in rows]
        spread = f" ± {stdev(errors):.2f}" if len(errors) > 1 else ""
        return (
            seeds,
            f"{span(row['round'] for row in rows)} of {last}",
            span(row["labelled"] for row in rows),
            f"{mean(errors):.2f}{spread}",
        )

    def _curve(self, labels: Sequence[str]) -> str:
        """The mean error over the runs that have begun, for the rounds that all of them have finished."""
        begun = [self._errors[label] for label in labels if self._errors.get(label)]
        return sparkline([mean(errors) for errors in zip(*begun, strict=False)])

    def _done(self, label: str) -> int:
        return int(self._rows[label]["round"]) + 1 if label in self._rows else 0

    def _caption(self, elapsed: float) -> str:
        total = sum(rounds for label, rounds in self._rounds.items() if label not in self._failed)
        done = sum(self._done(label) for label in self._rounds if label not in self._failed)
        left = f", about {duration(elapsed * (total - done) / self._recorded)} left" if self._recorded else ""
        return f"{done} of {total} rounds, {duration(elapsed)}{left if done < total else ''}"


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


@contextmanager
def sweep_progress(jobs: int) -> Iterator[Lines]:
    """A live table if the output is a terminal, otherwise lines of the log."""
    console = Console(file=sys.stdout)
    if not console.is_terminal:
        yield Lines()
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
        table = LiveTable(live, jobs)
        yield table
        table.draw()
