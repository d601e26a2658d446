"""Live progress on a terminal: a line for one run, and a table for a sweep in lock-step."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import mean, stdev
from time import monotonic
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from al_runner.sweeps.progress import ROUND, Lines, Row, duration, round_seconds, seconds_left, span, sparkline

BAR = 20  # columns of a progress bar


class LiveLine(Lines):
    """Shows one line for one run: its round, a bar, the newest error, all errors so far, and the time left.

    The run's own lines of rounds go only to its log file.
    """

    def __init__(self) -> None:
        self._title, self._rounds, self._rows = "", 0, list[Row]()
        self._since = monotonic()

    def opened(self, title: str, rounds: int, rows: Sequence[Row]) -> None:
        super().opened(title, rounds, rows)
        self._title, self._rounds, self._rows, self._since = title, rounds, [*rows], monotonic()

    def measured(self, title: str, rounds: int, row: Row) -> None:
        super().measured(title, rounds, row)
        self._rounds, self._rows, self._since = rounds, [*self._rows, row], monotonic()

    def line(self) -> RenderableType:
        """The line as it is now; nothing before the run is opened."""
        if not self._rounds:
            return ""
        done, rows = len(self._rows), self._rows
        left = seconds_left(rows, self._rounds)
        at = f"round {done - 1 if done else '-'} of {self._rounds - 1}"
        cells: list[RenderableType] = [at, ProgressBar(self._rounds, done, BAR, complete_style="cyan")]
        if rows:
            errors = [float(row["test_error"]) for row in rows]
            cells += [f"[bold]{100 * errors[-1]:.2f} %[/bold] error", f"[cyan]{sparkline(errors, BAR)}[/cyan]"]
        if left and done < self._rounds:
            passed = min(monotonic() - self._since, round_seconds(rows[-1]))  # of the round that is under way
            cells.append(f"about {duration(max(0.0, left - passed))} left")
        grid = Table.grid(padding=(0, 2))
        grid.add_row(escape(self._title), *cells)
        return grid


@contextmanager
def live_line() -> Iterator[LiveLine]:
    """A live line below the log's lines, which go on above it."""
    progress = LiveLine()
    with log_above(Live(console=Console(file=sys.stdout), get_renderable=progress.line, refresh_per_second=2)):
        yield progress


@contextmanager
def log_above(live: Live) -> Iterator[Live]:
    """A block with a live drawing. The log's lines are written above it, without those of rounds."""
    handlers, real = list[logging.StreamHandler[Any]](), sys.stdout
    with live:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is real:
                handler.setStream(sys.stdout)
                handler.addFilter(_no_round)
                handlers.append(handler)
        try:
            yield live
        finally:
            for handler in handlers:
                handler.setStream(real)
                handler.removeFilter(_no_round)


def _no_round(record: logging.LogRecord) -> bool:
    return not hasattr(record, ROUND)


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

    def opened(self, title: str, rounds: int, rows: Sequence[Row]) -> None:
        super().opened(title, rounds, rows)
        self._rounds[title] = rounds
        self._errors[title] = [float(row["test_error"]) for row in rows]
        if rows:
            self._rows[title] = {name: float(rows[-1][name]) for name in ("round", "labelled", "test_error")}
        self.draw()

    def measured(self, title: str, rounds: int, row: Row) -> None:
        super().measured(title, rounds, row)
        self._rounds[title] = rounds  # fewer than before if a rule ends the run
        self._rows[title] = row
        self._errors.setdefault(title, []).append(float(row["test_error"]))
        self._recorded += 1
        if monotonic() - self._drawn > self.SECONDS:
            self.draw()

    def failed(self, title: str, why: str | None) -> None:
        super().failed(title, why)
        self._failed.add(title)
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
        for title in {**self._rounds, **dict.fromkeys(sorted(self._failed))}:
            groups.setdefault(title.rpartition(" seed ")[0], []).append(title)
        table = Table(title=f"{self._jobs} runs in lock-step", caption=self._caption(elapsed), box=SIMPLE_HEAD)
        table.title_justify = table.caption_justify = "left"
        table.add_column("run")
        for name in ("seeds done", "round", "labelled", "test error % (± SD)"):
            table.add_column(name, justify="right")
        table.add_column("so far")
        for name, titles in groups.items():
            table.add_row(escape(name), *self._cells(titles), self._curve(titles))
        return table

    def _cells(self, titles: Sequence[str]) -> tuple[str, ...]:
        rows = [self._rows[title] for title in titles if title in self._rows]
        done = sum(title in self._rows and self._done(title) == self._rounds[title] for title in titles)
        failed = len(self._failed.intersection(titles))
        seeds = f"{done}/{len(titles)}" + (f", [red]{failed} failed[/red]" if failed else "")
        if not rows:
            return seeds, "", "", ""
        last = max((self._rounds[title] for title in titles if title in self._rounds), default=1) - 1
        errors = [100 * row["test_error"] for row in rows]
        spread = f" ± {stdev(errors):.2f}" if len(errors) > 1 else ""
        return (
            seeds,
            f"{span(row['round'] for row in rows)} of {last}",
            span(row["labelled"] for row in rows),
            f"{mean(errors):.2f}{spread}",
        )

    def _curve(self, titles: Sequence[str]) -> str:
        """The mean error over the runs that have begun, for the rounds that all of them have finished."""
        begun = [self._errors[title] for title in titles if self._errors.get(title)]
        return sparkline([mean(errors) for errors in zip(*begun, strict=False)])

    def _done(self, title: str) -> int:
        return int(self._rows[title]["round"]) + 1 if title in self._rows else 0

    def _caption(self, elapsed: float) -> str:
        total = sum(rounds for title, rounds in self._rounds.items() if title not in self._failed)
        done = sum(self._done(title) for title in self._rounds if title not in self._failed)
        left = f", about {duration(elapsed * (total - done) / self._recorded)} left" if self._recorded else ""
        return f"{done} of {total} rounds, {duration(elapsed)}{left if done < total else ''}"


@contextmanager
def live_table(jobs: int) -> Iterator[LiveTable]:
    """A live table of this many jobs."""
    with Live(console=Console(file=sys.stdout), auto_refresh=False, vertical_overflow="visible") as live:
        table = LiveTable(live, jobs)
        yield table
        table.draw()
