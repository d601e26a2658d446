"""The files that people and the analysis read, made from a run's journal.

They hold nothing that the journal does not hold, so they can always be written anew.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from pathlib import Path

import yaml

from al_runner.labels import UNKNOWN
from al_runner.record.journal import NAME, Answered, Asked, Begun, Bought, Event, Measured, Predicted, read
from al_runner.system.atomic import ChangedFile, append_file, replace_file

RANKING = ("test_auroc", "test_average_precision")  # blank if all test images are of one class
COLUMNS = (
    "round",
    "labelled",
    "test_error",
    "test_accuracy",
    "best_test_error",
    "val_error",
    "train_error",
    "test_nll",
    "steps",
    "fit_seconds",
    "select_seconds",
    "classes",
    "energy_joules",
    "pool_images",
    "test_images",
    "test_balanced_accuracy",
    "test_macro_f1",
    "test_brier",
    "test_ece",
    *RANKING,
)
RULES = {rule: f"stop_{rule}" for rule in ("stabilising", "low_uncertainty", "plateau")}  # and their columns
STOPPING = ("stop_agreement", "stop_uncertainty", *RULES.values())  # further columns of a run with stopping=
TABLES = {
    "rounds.csv": (*COLUMNS, *STOPPING),
    "acquired.csv": ("round", "id", "label", "file"),
    "predicted.csv": ("round", "id", "prediction", "confidence"),
    "queries.csv": ("round", "name", "value"),
    "asked.csv": ("round", "id", "seconds", "facts"),
    "answered.csv": ("answer", "id", "label", "class", "file"),
    "classes.csv": ("round", "class", "images", "wrong", "error"),
    "confusion.csv": ("round", "class", "prediction", "images"),
}
CONFIG, STARTS = "config.yaml", "provenance.json"
VIEWS = (*TABLES, CONFIG, STARTS)


class Views:
    """Keeps a folder's views in step with the events of its journal."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._forget()

    def _forget(self) -> None:
        self._said: Predicted | None = None
        self._sizes = dict.fromkeys(TABLES, 0)

    def longer(self, events: Iterable[Event]) -> list[str]:
        """The names of tables that hold everything from these events and more: the journal has then lost events."""
        self._forget()
        texts = dict.fromkeys(TABLES, b"") | self._added(events)
        return [name for name, text in texts.items() if (now := self._content(name)) != text and now.startswith(text)]

    def mend(self, keep: bool = True) -> list[str]:
        """Write every view anew that differs from the journal. Returns the names of the views of which it kept a copy.

        A view that only lacks its end, as after a crash, needs no copy; `keep=False` keeps none at all. Raises OSError
        if a view can't be read or written.
        """
        journal, kept = self._folder / NAME, []
        events = read(journal.read_bytes()).events if journal.exists() else []
        self._forget()
        texts = dict.fromkeys(VIEWS, b"") | self._added(events) | _starts(events)
        self._sizes = {name: len(texts[name]) for name in TABLES}
        for name, text in texts.items():
            now = self._content(name)
            if keep and not text.startswith(now):
                kept.append(keep_copy(self._folder / name))
            if not text:
                (self._folder / name).unlink(missing_ok=True)
            elif text != now:
                replace_file(self._folder / name, text)
        return kept

    def append(self, event: Event) -> None:
        """Add the journal's newest event to the views, which must be mended. Raises OSError if a write fails."""
        if isinstance(event, Begun):
            self.mend(keep=False)
            return
        try:
            for name, text in self._added([event]).items():
                append_file(self._folder / name, text, self._sizes[name])
                self._sizes[name] += len(text)
        except (ChangedFile, FileNotFoundError):  # somebody edited or removed it
            self.mend()

    def _added(self, events: Iterable[Event]) -> dict[str, bytes]:
        """The text that these events add to each table, with the header if a table has no rows yet."""
        lines: dict[str, StringIO] = {}
        for event in events:
            for name, row in _rows(event, self._said):
                if name not in lines:
                    lines[name] = StringIO()
                    if self._sizes[name] == 0:
                        _write(lines[name], _columns(name, event))
                _write(lines[name], row)
            if isinstance(event, Predicted):
                self._said = event
        return {name: text.getvalue().encode() for name, text in lines.items()}

    def _content(self, name: str) -> bytes:
        path = self._folder / name
        return path.read_bytes() if path.exists() else b""


def _columns(name: str, event: Event) -> Sequence[str]:
    """The columns of a table that begins with this event. A round's are those that its version measured."""
    return [*event.row] if name == "rounds.csv" and isinstance(event, Measured) else TABLES[name]


def _rows(event: Event, said: Predicted | None) -> Iterator[tuple[str, Sequence[object]]]:
    """The tables and rows that an event adds. What was `said` of images before is added when they are bought."""
    match event:
        case Measured():
            yield from _measured(event)
        case Bought():
            files = event.file or [""] * len(event.id)
            for image in zip(event.id, event.label, files, strict=True):
                if image[1] != UNKNOWN:  # the oracle could not label the image
                    yield "acquired.csv", (event.round, *image)
            if said is not None and said.round == event.round:
                for triple in zip(said.id, said.prediction, said.confidence, strict=True):
                    yield "predicted.csv", (event.round, *triple)
            for fact in event.facts.items():
                yield "queries.csv", (event.round, *fact)
        case Asked():
            for id_ in event.id:
                yield "asked.csv", (event.round, id_, event.seconds, json.dumps(event.facts))
        case Answered():
            files = event.file or [""] * len(event.id)
            for answer in zip(event.id, event.label, event.name, files, strict=True):
                yield "answered.csv", (event.answer, *answer)


def _measured(event: Measured) -> Iterator[tuple[str, Sequence[object]]]:
    """The rows of a measurement: its own, and those of its classes and of its confusion matrix."""
    yield "rounds.csv", [*event.row.values()]
    for label, (images, wrong) in enumerate(zip(event.images or (), event.wrong or (), strict=True)):
        yield "classes.csv", (event.round, label, images, wrong, wrong / images if images else "")
    for cell in event.confused or ():
        yield "confusion.csv", (event.round, *cell)


def _starts(events: Iterable[Event]) -> dict[str, bytes]:
    """The files about a run's starts: the configuration of the newest one, and the facts of all."""
    begun = [event for event in events if isinstance(event, Begun)]
    if not begun:
        return {}
    config, facts = yaml.safe_dump(begun[-1].config, sort_keys=False), json.dumps([e.start for e in begun], indent=2)
    return {CONFIG: config.encode(), STARTS: f"{facts}\n".encode()}


def _write(text: StringIO, row: Iterable[object]) -> None:
    csv.writer(text, lineterminator="\n").writerow(row)


def keep_copy(path: Path) -> str:
    """Keep a copy of a damaged file beside it under a new name. Returns the file's own name."""
    number = 1
    while (kept := path.with_name(f"{path.name}.damaged{number}")).exists():
        number += 1
    replace_file(kept, path.read_bytes())
    return path.name
