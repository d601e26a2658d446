"""The files that people and the analysis read, made from a run's journal.

They hold nothing that the journal does not, so whatever becomes of them, they are written anew.
"""

import csv
import json
from collections.abc import Iterable, Sequence
from io import StringIO
from itertools import repeat
from pathlib import Path

import yaml

from al_runner.record.journal import NAME, Begun, Bought, Event, Measured, Predicted, read
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
)
TABLES = {
    "rounds.csv": COLUMNS,
    "acquired.csv": ("round", "id", "label"),
    "predicted.csv": ("round", "id", "prediction", "confidence"),
    "queries.csv": ("round", "name", "value"),
}
CONFIG, STARTS = "config.yaml", "provenance.json"
VIEWS = (*TABLES, CONFIG, STARTS)


class Rows:
    """Turns one event after another into the rows that it adds to the tables."""

    def __init__(self) -> None:
        self._said = Predicted(-1, [], [], [])

    def of(self, event: Event) -> dict[str, str]:
        """The lines of text by table; a prediction is shown once its images are bought."""
        match event:
            case Predicted():
                self._said = event
            case Bought(round=number, id=ids):
                added = {"acquired.csv": _text(zip(repeat(number), ids, event.label, strict=False))}
                if self._said.round == number:
                    said = zip(repeat(number), *self._said[1:], strict=False)
                    added["predicted.csv"] = _text(said)
                return {**added, "queries.csv": _text((number, *fact) for fact in event.facts.items())}
            case Measured():
                return {"rounds.csv": _text([[event.row[name] for name in COLUMNS]])}
        return {}


def whole(events: Sequence[Event]) -> dict[str, str]:
    """Every view's text, empty for a file that must not be there yet."""
    rows = Rows()
    parts: dict[str, list[str]] = {name: [] for name in TABLES}
    for event in events:
        for name, text in rows.of(event).items():
            parts[name].append(text)
    tables = {name: "".join(texts) for name, texts in parts.items()}
    headed = {name: _text([TABLES[name]]) + text if text else "" for name, text in tables.items()}
    return headed | starts([event for event in events if isinstance(event, Begun)])


def starts(begun: Sequence[Begun]) -> dict[str, str]:
    """The texts of the files that tell of a run's starts: the newest one's configuration, the facts of all."""
    config = yaml.safe_dump(begun[-1].config, sort_keys=False) if begun else ""
    facts = json.dumps([event.start for event in begun], indent=2) + "\n" if begun else ""
    return {CONFIG: config, STARTS: facts}


class Views:
    """A folder's views, kept up with the events of its journal."""

    def __init__(self, folder: Path):
        self._folder, self._rows = folder, Rows()
        self._begun: list[Begun] = []
        self._sizes = dict.fromkeys(TABLES, 0)

    def longer(self, events: Sequence[Event]) -> list[str]:
        """The tables that hold all that these events say and more, so that the journal must have said more."""
        texts = [(name, text.encode(), self._held(name)) for name, text in whole(events).items() if name in TABLES]
        return [name for name, text, held in texts if held.startswith(text) and len(held) > len(text)]

    def mend(self) -> list[str]:
        """Write every view anew that is not what the journal says; the names of those of which a copy was kept.

        That is done unless a view only lacks its end, as after a crash. OSError where one can't be read or written.
        """
        journal = self._folder / NAME
        events = read(journal.read_bytes()).events if journal.exists() else []
        self._begun, self._rows = [event for event in events if isinstance(event, Begun)], Rows()
        for event in events:
            self._rows.of(event)
        kept = []
        for name, text in whole(events).items():
            content, held = text.encode(), self._held(name)
            if name in TABLES:
                self._sizes[name] = len(content)
            if not content.startswith(held):
                kept.append(keep_copy(self._folder / name))
            if content:
                if content != held:
                    replace_file(self._folder / name, content)
            else:
                (self._folder / name).unlink(missing_ok=True)
        return kept

    def append(self, event: Event) -> None:
        """Add what an event says, once the views are mended; OSError where one can't be written."""
        if isinstance(event, Begun):
            self._begun.append(event)
            for name, text in starts(self._begun).items():
                replace_file(self._folder / name, text.encode())
        try:
            for name, rows in self._rows.of(event).items():
                self._append(name, rows)
        except (ChangedFile, FileNotFoundError):
            self.mend()

    def _append(self, name: str, rows: str) -> None:
        if not rows:
            return
        content = (rows if self._sizes[name] else _text([TABLES[name]]) + rows).encode()
        append_file(self._folder / name, content, self._sizes[name])
        self._sizes[name] += len(content)

    def _held(self, name: str) -> bytes:
        path = self._folder / name
        return path.read_bytes() if path.exists() else b""


def keep_copy(path: Path) -> str:
    """Keep what a damaged file holds under another name beside it; its own name."""
    number = 1
    while (kept := path.with_name(f"{path.name}.damaged{number}")).exists():
        number += 1
    replace_file(kept, path.read_bytes())
    return path.name


def _text(rows: Iterable[Iterable[object]]) -> str:
    lines = StringIO()
    csv.writer(lines, lineterminator="\n").writerows(rows)
    return lines.getvalue()
