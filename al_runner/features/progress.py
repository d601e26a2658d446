"""Says how far an extraction is: a bar on a terminal, else a line of the log from time to time."""

import logging
from time import monotonic

from rich.console import Console
from rich.progress import Progress

log = logging.getLogger(__name__)

EVERY = 60.0  # seconds between two lines of the log


class Told:
    """A context in which `at` says how many of `count` images are done."""

    def __init__(self, name: str, count: int):
        self._name, self._count, self._said, self._begun = name, count, monotonic(), False
        console = Console(stderr=True)
        self._bar = Progress(console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("features", total=count)

    def __enter__(self) -> "Told":
        log.info("features: %s of %d images, once for all runs", self._name, self._count)
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def at(self, done: int) -> None:
        """`done` images have their features."""
        self._bar.update(self._task, completed=done)
        if self._bar.disable and monotonic() - self._said > EVERY:
            log.info("features: %d of %d images", done, self._count)
            self._said = monotonic()
