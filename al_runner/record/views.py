"""The files that people and the analysis read, made from a run's journal.

They hold nothing that the journal does not, so whatever becomes of them, they are written anew.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from pathlib import Path

import yaml

from al_runner.record.journal import NAME, Answered, Asked, Begun, Bought, Event, Measured, Predicted, read
from al_runner.system.atomic import ChangedFile, append_file, replace_file

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
)
TABLES = {
    "rounds.csv": COLUMNS,
    "acquired.csv": ("round", "id", "label", "file"),
    "predicted.csv": ("round", "id", "prediction", "confidence"),
    "queries.csv": ("round", "name", "value"),
    "asked.csv": ("round", "id", "seconds", "facts"),
    "answered.csv": ("answer", "id", "label", "class", "file"),
}
CONFIG, STARTS = "config.yaml", "provenance.json"
VIEWS = (*TABLES, CONFIG, STARTS)


class Views:
    """A folder's views, kept up with the events of its journal."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._forget()

    def _forget(self) -> None:
        self._said: Predicted | None = None
        self._sizes = dict.fromkeys(TABLES, 0)

    def longer(self, events: Iterable[Event]) -> list[str]:
        """The tables that hold all that these events say and more, so that the journal must have said more."""
        self._forget()
        texts = dict.fromkeys(TABLES, b"") | self._added(events)
        return [name for name, text in texts.items() if (held := self._held(name)) != text and held.startswith(text)]

    def mend(self, keep: bool = True) -> list[str]:
        """Write every view anew that is not what the journal says; the names of those of which a copy was kept.

        There is none of a view that only lacked its end, as after a crash. OSError where one can't be read or written.
        """
        journal, kept = self._folder / NAME, []
        events = read(journal.read_bytes()).events if journal.exists() else []
        self._forget()
        texts = dict.fromkeys(VIEWS, b"") | self._added(events) | _starts(events)
        self._sizes = {name: len(texts[name]) for name in TABLES}
        for name, text in texts.items():
            held = self._held(name)
            if keep and not text.startswith(held):
                kept.append(keep_copy(self._folder / name))
            if not text:
                (self._folder / name).unlink(missing_ok=True)
            elif text != held:
                replace_file(self._folder / name, text)
        return kept

    def append(self, event: Event) -> None:
        """Add what the journal's newest event says, once the views are mended; OSError where that can't be written."""
        if isinstance(event, Begun):
            self.mend(keep=False)
            return
        try:
            for name, text in self._added([event]).items():
                append_file(self._folder / name, text, self._sizes[name])
                self._sizes[name] += len(text)
        except (ChangedFile, FileNotFoundError):  # by somebody who looked at it
            self.mend()

    def _added(self, events: Iterable[Event]) -> dict[str, bytes]:
        """What these events add to the tables, with its head where a table has no rows yet."""
        lines: dict[str, StringIO] = {}
        for event in events:
            for name, row in _rows(event, self._said):
                if name not in lines:
                    lines[name] = StringIO()
                    if self._sizes[name] == 0:
                        _write(lines[name], TABLES[name])
                _write(lines[name], row)
            if isinstance(event, Predicted):
                self._said = event
        return {name: text.getvalue().encode() for name, text in lines.items()}

    def _held(self, name: str) -> bytes:
        path = self._folder / name
        return path.read_bytes() if path.exists() else b""


def _rows(event: Event, said: Predicted | None) -> Iterator[tuple[str, Sequence[object]]]:
    """What an event adds to which table; what was `said` of images before it is shown once they are bought."""
    match event:
        case Measured():
            yield "rounds.csv", [event.row[name] for name in COLUMNS]
        case Bought():
            files = event.file or [""] * len(event.id)
            for image in zip(event.id, event.label, files, strict=True):
                if image[1] >= 0:  # else an image that the oracle could not tell
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


def _starts(events: Iterable[Event]) -> dict[str, bytes]:
    """The files that tell of a run's starts: the newest one's configuration, the facts of all."""
    begun = [event for event in events if isinstance(event, Begun)]
    if not begun:
        return {}
    config, facts = yaml.safe_dump(begun[-1].config, sort_keys=False), json.dumps([e.start for e in begun], indent=2)
    return {CONFIG: config.encode(), STARTS: f"{facts}\n".encode()}


def _write(text: StringIO, row: Iterable[object]) -> None:
    csv.writer(text, lineterminator="\n").writerow(row)


def keep_copy(path: Path) -> str:
    """Keep what a damaged file holds under another name beside it; its own name."""
    number = 1
    while (kept := path.with_name(f"{path.name}.damaged{number}")).exists():
        number += 1
    replace_file(kept, path.read_bytes())
    return path.name
