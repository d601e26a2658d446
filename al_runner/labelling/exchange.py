"""The exchange between a run and the person who labels: what is asked, what is answered, and where both are kept."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch

from al_runner.errors import UsageError
from al_runner.labelling.answers import Answers, Known, read_answers
from al_runner.labelling.pictures import data_url, fingerprint
from al_runner.labelling.query import PAGE, TABLE, Item, Questions, remove, write
from al_runner.labelling.rows import Photo, labels_by_photo, rows_of
from al_runner.labels import UNSURE
from al_runner.oracle.person import Person
from al_runner.record.run import RunRecord
from al_runner.record.writing import writing
from al_runner.system.atomic import replace_file

KEPT = "answered"  # the folder with a copy of every filled file
ONCE = ("oracle.labels", "overwrite", "recover")  # options of one start, not of the command that goes on after it


class RecordedAnswers(NamedTuple):
    """A person's answers that the journal of a run holds."""

    labels: Mapping[int, int]  # label by image id, UNSURE for "can't tell"
    words: Mapping[int, str]  # class name by label

    @classmethod
    def of(cls, record: RunRecord) -> "RecordedAnswers":
        labels = {id_: label for event in record.answers for id_, label in zip(event.id, event.label, strict=True)}
        pairs = (pair for event in record.answers for pair in zip(event.label, event.name, strict=True))
        return cls(labels, {label: name for label, name in pairs if label >= 0})

    def added(self, known: int) -> list[str]:
        """The names of the classes that were added to the first `known` ones, in the order of their labels."""
        return [self.words[label] for label in sorted(self.words) if label >= known]


NO_ANSWERS = RecordedAnswers({}, {})


@dataclass(frozen=True)
class Exchange:
    """The files in a run's folder that a person reads and fills."""

    folder: Path
    record: RunRecord
    person: Person
    run_title: str
    root: Path | None = None  # the folder of the images' own files; None if there is no such folder

    @property
    def waiting(self) -> list[int]:
        """Ids that were asked for and have no label yet, ascending; empty if nothing was asked yet."""
        if not self.record.asks:
            return []
        pending = torch.tensor(self.record.pending, dtype=torch.int64).to(self.person.data.labels.device)
        ids: list[int] = self.person.without_label(pending).tolist()
        return ids

    @property
    def needless(self) -> bool:
        """Whether all images had labels beforehand, so that nobody is asked."""
        return not self.record.asks and not len(self.person.without_label(self.person.data.train))

    def file_of(self, id_: int) -> str:
        return self.person.data.files[id_] if self.person.data.files else ""

    def photo(self, id_: int) -> Photo:
        return Photo(self.file_of(id_), fingerprint(self.person.data.images[id_]))

    def record_answers(self) -> list[str]:
        """Record what a filled file answers. Returns a line for each answer that can't be used. Keeps the file.

        Raises UsageError if the file can't be read, or if a file is named before the run asked for anything.
        """
        named = self.person.labels
        path = Path(named).expanduser() if named else self.folder / TABLE
        if named and not self.record.asks:
            raise UsageError(f"this run has asked for no labels yet, so {path} can't answer; start it without --labels")
        if not named and not path.exists():
            return []
        if not self.record.asks:  # an earlier run's, which began anew: its answers are shown with the query to come
            with writing(self.folder):
                self._keep(path.read_bytes())
                remove(self.folder)
            return []
        waiting = self.waiting
        answers = read_answers(path, self.known(waiting))
        if answers.labels:
            self.record.answer(answers.label_numbers(), dict(enumerate(answers.classes)))
        with writing(self.folder):
            self._keep(path.read_bytes())
            if len(answers.labels) == len(waiting):
                remove(self.folder)
            elif named or answers.labels:  # the other images are asked for again; refused labels stay in the table
                self.ask(answers)
        return answers.troubles

    def known(self, waiting: Sequence[int]) -> Known:
        """What a filled file is checked against."""
        recorded, names = RecordedAnswers.of(self.record), self.person.names
        given = {id_: None if label == UNSURE else names[label] for id_, label in recorded.labels.items()}
        return Known({id_: self.photo(id_) for id_ in waiting}, names, given)

    def ask(self, answers: Answers | None = None) -> int:
        """Write the files of the query anew, and keep the labels that they hold. Returns how many images wait.

        `answers` are those that were recorded just now.
        """
        answers = answers or self._labels_in_files()
        waiting = [id_ for id_ in self.waiting if id_ not in answers.labels]
        classes = answers.classes or [*self.person.names]
        items = [self.item(id_, answers.refused.get(id_, "")) for id_ in waiting]
        with writing(self.folder):
            write(self.folder, Questions(self.title, items, classes))
        return len(items)

    @property
    def title(self) -> str:
        return f"{self.run_title}, round {len(self.record.rows)}"

    def item(self, id_: int, label: str) -> Item:
        """An image with its picture and what the net predicted for it."""
        photo, predicted = self.photo(id_), self.record.newest_predictions
        file = self.root / photo.file if self.root and photo.file else None
        picture = data_url(self.person.data.images[id_], file)
        item = Item(id_, photo.file, picture, label=label, fingerprint=photo.fingerprint)
        if predicted is None or id_ not in predicted.id or predicted.round != len(self.record.rows):
            return item
        at = predicted.id.index(id_)
        guess = self.person.data.classes[predicted.prediction[at]]
        return replace(item, guess=guess, sureness=predicted.confidence[at])

    def _labels_in_files(self) -> Answers:
        """The labels of the waiting images in the present query and in the files that were kept.

        A run that begins again shows them.
        """
        answers = Answers(classes=[*self.person.names])
        photos = {id_: self.photo(id_) for id_ in self.waiting}
        for path in (*sorted((self.folder / KEPT).glob("*.csv")), self.folder / TABLE):
            with suppress(UsageError):  # the file is missing, or is no table any more
                answers.refused |= labels_by_photo(rows_of(path), photos)
        return answers

    def _keep(self, content: bytes) -> None:
        """Keep a copy of a filled file, unless there is one already."""
        folder = self.folder / KEPT
        kept = sorted(folder.glob("*.csv")) if folder.exists() else []
        if all(file.read_bytes() != content for file in kept):
            replace_file(folder / f"{len(kept) + 1:03d}.csv", content)

    def instructions(self, command: Sequence[str]) -> str:
        """Lines that say what the person must do now."""
        measured_on = {*self.person.data.val.tolist(), *self.person.data.test.tolist()}
        waiting, words = self.waiting, [word for word in command if word.partition("=")[0].lstrip("+") not in ONCE]
        held_out = sum(id_ in measured_on for id_ in waiting)
        note = (
            f" ({held_out} are for validation and test: dataset.split.val and .test say how many)" if held_out else ""
        )
        return (
            f"waiting for the labels of {len(waiting)} images{note}\n"
            f"  1. open {self.folder / PAGE} in a browser, label, and save query.csv\n"
            f"     (or fill the column label of {self.folder / TABLE}, or import query-label-studio.json)\n"
            f"  2. al-run {shlex.join(words)} --labels PATH/query.csv"
        )
