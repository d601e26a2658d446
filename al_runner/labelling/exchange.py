"""Between a run and the person who labels: what is asked, what comes back, and where both are kept."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from al_runner.errors import UsageError
from al_runner.labelling.answers import Answers, Known, read_answers, rows_of
from al_runner.labelling.pictures import data_url
from al_runner.labelling.query import PAGE, TABLE, Item, Query, remove, write
from al_runner.labels import UNSURE
from al_runner.oracle.person import Person
from al_runner.record.run import Run, writing
from al_runner.system.atomic import replace_file

KEPT = "answered"  # the folder of files that were taken in


class Told(NamedTuple):
    """What a run's folder holds of a person's answers."""

    labels: Mapping[int, int]
    words: Mapping[int, str]  # the labels' names

    @classmethod
    def of(cls, record: Run) -> "Told":
        labels = {id_: label for event in record.answers for id_, label in zip(event.id, event.label, strict=True)}
        pairs = (pair for event in record.answers for pair in zip(event.label, event.name, strict=True))
        return cls(labels, {label: name for label, name in pairs if label >= 0})

    def added(self, known: int) -> list[str]:
        """The classes beyond the `known` ones, in the order of their places."""
        return [self.words[label] for label in sorted(self.words) if label >= known]


NOTHING = Told({}, {})


@dataclass(frozen=True)
class Exchange:
    """The files of a run's folder that a person reads and fills."""

    folder: Path
    record: Run
    person: Person
    label: str  # of the run
    root: Path | None = None  # below which the images' own files are

    @property
    def waiting(self) -> list[int]:
        """Ids that were asked for and have no label yet, ascending; none where nothing was asked yet."""
        if not self.record.asks:
            return []
        pending = torch.tensor(self.record.pending, dtype=torch.int64).to(self.person.data.labels.device)
        found: list[int] = self.person.open(pending).tolist()
        return found

    def file_of(self, id_: int) -> str:
        return self.person.data.files[id_] if self.person.data.files else ""

    def take_in(self) -> list[str]:
        """Record what a filled file answers; a line for each thing that can't be taken, the file kept in any case.

        UsageError where the named file can't be read, or nothing was asked yet.
        """
        named = self.person.labels
        path = Path(named).expanduser() if named else self.folder / TABLE
        if named and not self.record.asks:
            raise UsageError(f"this run has asked for no labels yet, so {path} can't answer; start it without --labels")
        if not named and not path.exists():
            return []
        waiting = self.waiting
        answers = read_answers(path, self.known(waiting))
        if answers.labels:
            self.record.answer(answers.places(), dict(enumerate(answers.classes)))
        with writing(self.folder):
            self._keep(path.read_bytes())
            if len(answers.labels) == len(waiting):
                remove(self.folder)
            elif named or answers.labels:  # what is left is asked again, with what stands there
                self.ask(answers)
        return answers.troubles

    def known(self, waiting: Sequence[int]) -> Known:
        """What a file is checked against."""
        told, names = Told.of(self.record), self.person.names
        given = {id_: None if label == UNSURE else names[label] for id_, label in told.labels.items()}
        return Known({id_: self.file_of(id_) for id_ in waiting}, names, given)

    def ask(self, answers: Answers | None = None) -> int:
        """Write the query anew, with what stands in it already; how many images wait for a label.

        `answers` were taken in just now.
        """
        answers = answers or self._standing()
        waiting = [id_ for id_ in self.waiting if id_ not in answers.labels]
        classes = answers.classes or [*self.person.names]
        items = [self.item(id_, answers.refused.get(id_, "")) for id_ in waiting]
        with writing(self.folder):
            write(self.folder, Query(self.title, items, classes))
        return len(items)

    @property
    def title(self) -> str:
        return f"{self.label}, round {len(self.record.rows)}"

    def item(self, id_: int, label: str) -> Item:
        """An image with its picture and what the net says of it."""
        file, said = self.file_of(id_), self.record.said
        picture = data_url(self.person.data.images[id_], self.root / file if self.root and file else None)
        if said is None or id_ not in said.id or said.round != len(self.record.rows):
            return Item(id_, file, picture, label=label)
        place = said.id.index(id_)
        return Item(id_, file, picture, self.person.data.classes[said.prediction[place]], said.confidence[place], label)

    def _standing(self) -> Answers:
        """What stands in the query that is there, and in what was taken in before: of a run that had to begin again."""
        found = Answers(classes=[*self.person.names])
        for path in (*sorted((self.folder / KEPT).glob("*.csv")), self.folder / TABLE):
            said: dict[int, set[str]] = {}
            with suppress(UsageError):  # it is not there, or no table any more
                for row in rows_of(path):
                    if row.get("id", "").isdecimal():
                        said.setdefault(int(row["id"]), set()).add(row["label"])
            found.refused |= {id_: labels.pop() if len(labels) == 1 else "" for id_, labels in said.items()}
        return found

    def _keep(self, content: bytes) -> None:
        """A copy of a file that was filled, unless there is one."""
        folder = self.folder / KEPT
        kept = sorted(folder.glob("*.csv")) if folder.exists() else []
        if all(file.read_bytes() != content for file in kept):
            replace_file(folder / f"{len(kept) + 1:03d}.csv", content)

    def said(self, command: Sequence[str]) -> str:
        """What the person is to do now."""
        measure = {*self.person.data.val.tolist(), *self.person.data.test.tolist()}
        waiting, words = self.waiting, [word for word in command if not word.startswith("oracle.labels=")]
        kept = sum(id_ in measure for id_ in waiting)
        also = f" ({kept} of them are kept to measure with: dataset.split.test and .val say how many)" if kept else ""
        return (
            f"waiting for the labels of {len(waiting)} images{also}\n"
            f"  1. open {self.folder / PAGE} in a browser, label, and save query.csv\n"
            f"     (or fill the column label of {self.folder / TABLE}, or import query-label-studio.json)\n"
            f"  2. al-run {shlex.join(words)} --labels PATH/query.csv"
        )
