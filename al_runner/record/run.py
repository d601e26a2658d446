"""The loop's view of a run's folder: every event goes to the journal, then to the views, then to the listeners."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isnan, nan
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from al_runner.errors import UsageError
from al_runner.record import weights
from al_runner.record.copies import copies
from al_runner.record.identity import ANEW, plain, require_plan, require_settings
from al_runner.record.journal import (
    NAME,
    Answered,
    Asked,
    Begun,
    Bought,
    Ended,
    Event,
    Journal,
    Made,
    Measured,
    Predicted,
    read,
)
from al_runner.record.pixels import packed, unpacked
from al_runner.record.views import COLUMNS, RANKING, STOPPING, VIEWS, Views, keep_copy
from al_runner.record.writing import writing
from al_runner.system.atomic import replace_file
from al_runner.system.claim import Claim
from al_runner.types import ByClass, Query

REMEDY = "restore it from a copy, go on after its last sound round with recover=true, or start anew with overwrite=true"
OLD = "checksums.json"  # a folder of version 0.1 has this file, and no journal

Kind = TypeVar("Kind", Begun, Made, Predicted, Asked, Answered, Bought, Measured, Ended)


class RunRecord:
    """One run: its recorded events, and the recording of new ones.

    `claim` is this process's claim on the folder; it is checked before every write. Raises UsageError if the folder is
    damaged. With `recover`, the run goes on from the last sound event instead. `settle` must come before anything is
    recorded; nothing is written before it.
    """

    def __init__(self, folder: Path, claim: Claim | None = None, recover: bool = False):
        self._folder, self._claim, self._path = folder, claim, folder / NAME
        self._views = Views(folder)
        self._listeners: list[tuple[type[Event], Callable[[Any], None]]] = []
        self.rows: list[dict[str, Any]] = []  # of rounds.csv
        self._bought: dict[int, Bought] = {}
        self._made: dict[int, Made] = {}
        self._asked: dict[int, Asked] = {}
        self.answers: list[Answered] = []
        self.newest_predictions: Predicted | None = None  # for the images of the newest query
        self._labels: set[int] = set()
        self._last: Event | None = None
        self._begun: Begun | None = None
        self._files: Sequence[str] = ()
        with writing(self._path):
            self._content = self._path.read_bytes() if self._path.exists() else b""
            self._reading = read(self._content, copies(folder) if recover else ())
            self._fault = self._find_fault()
        if self._fault and not recover:
            raise UsageError(f"{self._path}{self._fault} is damaged; {REMEDY}")
        for event in self._reading.events:
            self._take(event)

    def _find_fault(self) -> str:
        """What is wrong with the journal, or "". Raises UsageError for a folder of version 0.1."""
        if self._reading.damaged:
            return f": line {self._reading.damaged[0]}"
        if not self._path.exists() and (self._folder / OLD).exists():
            raise UsageError(f"{self._folder} holds a run of al-runner 0.1, which this version can't continue; {ANEW}")
        longer = self._views.longer(self._reading.events)
        return f" has lost its last lines ({longer[0]} has more), so it" if longer else ""

    def require_settings(self, config: Mapping[str, Any]) -> None:
        """Raises UsageError unless the folder is new, or its run has these settings."""
        if self._begun is not None:
            require_settings(self._folder, self._begun, config)

    def require_plan(self, plan: Sequence[int], *data: str) -> None:
        """Raises UsageError unless the folder is new, or its run made the first of these purchases on these data.

        `data` are the fingerprints of the data as this version and older ones make it.
        """
        if self._begun is None:
            return
        # A person may have left some of the images without a label.
        made = [len(self._asked.get(round_, bought).id) for round_, bought in self._bought.items()]
        require_plan(self._folder, self._begun, made, plan, data)

    def settle(self) -> str:
        """Make the folder's files sound. Returns one line that says what was damaged, or ""."""
        kept, text = [], self._reading.text
        with self._writing():
            if self._reading.damaged:
                kept.append(f"{keep_copy(self._path)} (line {self._reading.damaged[0]})")
            if self._content != text.encode():
                replace_file(self._path, text.encode())
            kept += self._views.mend()
            self._journal = Journal(self._path, text)
        return f"{' and '.join(kept)} damaged and set aside{self._lost()}" if kept else ""

    def _lost(self) -> str:
        if self._reading.cut:
            return f"; {self._reading.cut} events from line {self._reading.damaged[-1]} on are lost, and done again"
        more = self._fault and not self._reading.damaged
        return f"; lines that {NAME} does not have are ignored" if more else ""

    def on(self, kind: type[Kind], listener: Callable[[Kind], None]) -> None:
        """Call `listener` with every event of a kind after it is recorded."""
        self._listeners.append((kind, listener))

    def begin(self, config: Mapping[str, Any], start: Mapping[str, Any], files: Sequence[str] = ()) -> None:
        """Record that a process starts or continues the run.

        `start` says when, where, with what code and, as `data`, on which data. `files` are the names of the images'
        files by id, which are recorded with every purchase; empty if there are none.
        """
        self.name_files(files)
        self._add(Begun(plain(config), plain(start)))

    def name_files(self, files: Sequence[str]) -> None:
        """Set the images' files by id. Every purchase and every answer is recorded with them from now on."""
        self._files = files

    def end(self, rule: str | None = None) -> None:
        """Record that every planned round is measured, or that a stopping rule has ended the run."""
        if not isinstance(self._last, Ended):
            self._add(Ended(len(self.rows), rule))

    def bought(self, round_: int) -> Tensor | None:
        return torch.tensor(self._bought[round_].id, dtype=torch.int64) if round_ in self._bought else None

    def made(self, round_: int, name: str, ids: Tensor, images: Tensor) -> None:
        self._add(Made(round_, name, ids.tolist(), [*images.shape[1:]], packed(images.cpu().numpy())))

    def queried(self, round_: int) -> Tensor | None:
        return torch.from_numpy(unpacked(self._made[round_])) if round_ in self._made else None

    def predicted(self, round_: int, ids: Tensor, classes: Tensor, confidence: Tensor) -> None:
        shares = [round(share, 6) for share in confidence.tolist()]
        self._add(Predicted(round_, ids.tolist(), classes.tolist(), shares))

    def buy(self, round_: int, ids: Tensor, labels: Tensor, seconds: float, facts: Mapping[str, float]) -> None:
        names = self._files
        # An image that a strategy made has no file; its id is after those of the data set.
        files = [names[id_] if id_ < len(names) else "" for id_ in ids.tolist()] if names else None
        self._add(Bought(round_, ids.tolist(), labels.tolist(), seconds, dict(facts), files))

    def asked(self, round_: int) -> Query | None:
        if round_ not in self._asked:
            return None
        event = self._asked[round_]
        return Query(torch.tensor(event.id, dtype=torch.int64), event.seconds, event.facts)

    def ask(self, round_: int, ids: Tensor, seconds: float, facts: Mapping[str, float]) -> None:
        self._add(Asked(round_, ids.tolist(), seconds, dict(facts)))

    @property
    def asks(self) -> bool:
        """Whether a person was asked for labels in any round."""
        return bool(self._asked)

    @property
    def pending(self) -> list[int]:
        """Ids of the newest query if they are not bought yet; otherwise empty."""
        newest = max(self._asked, default=None)
        return [] if newest is None or newest in self._bought else self._asked[newest].id

    def answer(self, labels: Mapping[int, int], names: Mapping[int, str]) -> None:
        """Record a person's labels by id; `names` gives the class name of every label."""
        files = [self._files[id_] for id_ in labels] if self._files else None
        words = [names.get(label, "") for label in labels.values()]
        self._add(Answered(len(self.answers), [*labels], [*labels.values()], words, files))

    def measured(self, round_: int) -> bool:
        return round_ < len(self.rows)

    def column(self, name: str) -> list[float]:
        return [nan if row.get(name, "") == "" else float(row[name]) for row in self.rows]

    def measure(
        self, round_: int, row: Mapping[str, float], joules: float | None, by_class: ByClass | None = None
    ) -> None:
        earlier = self.rows[-1:]
        full = {
            **row,
            "round": round_,
            "best_test_error": min([row["test_error"], *(last["best_test_error"] for last in earlier)]),
            "select_seconds": self._bought[round_].seconds,
            "classes": len(self._labels),
            "energy_joules": "" if joules is None else round(joules, 3),
            **{name: "" for name in (*RANKING, *STOPPING) if name in row and isnan(row[name])},
        }
        new = (*COLUMNS, *(name for name in STOPPING if name in row))
        columns = self.rows[0] if self.rows else new  # a run of an older version keeps its columns
        self._add(Measured(round_, {name: full[name] for name in columns}, **(by_class.counts() if by_class else {})))

    def _add(self, event: Event) -> None:
        """Force an event to disk, and call its listeners."""
        with self._writing():
            self._journal.append(event)
            self._views.append(event)
        self._take(event)
        for kind, listener in self._listeners:
            if isinstance(event, kind):
                listener(event)

    def _take(self, event: Event) -> None:
        self._last = event
        match event:
            case Begun():
                self._begun = event
            case Predicted():
                self.newest_predictions = event
            case Asked():
                self._asked[event.round] = event
            case Answered():
                self.answers.append(event)
            case Bought():
                self._bought[event.round] = event
                self._labels.update(label for label in event.label if label >= 0)
            case Made(name="query"):
                self._made[event.round] = event
            case Measured():
                self.rows.append(event.row)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A block that writes. Raises Taken if another process now has the folder, and UsageError as `writing` does."""
        with writing(self._path):
            if self._claim is not None:
                self._claim.require()
            yield


def discard(folder: Path) -> None:
    """Delete the files of a folder's run, the journal last. Raises UsageError if that fails."""
    with writing(folder):
        for path in (*weights.files(folder), *(folder / name for name in (*VIEWS, NAME, OLD))):
            path.unlink(missing_ok=True)
