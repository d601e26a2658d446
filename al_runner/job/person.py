"""A run whose labels a person gives: it writes its queries and reads the answers."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig

from al_runner.data.parts import UNLABELLED
from al_runner.errors import UsageError, Waiting
from al_runner.labelling.exchange import Exchange
from al_runner.labelling.rows import CANT_TELL, NEW, is_reserved
from al_runner.loop.experiment import Experiment
from al_runner.oracle.person import Person
from al_runner.record.run import RunRecord
from al_runner.types import Oracle

log = logging.getLogger(__name__)


def require_one_person(experiment: Experiment, sweep: bool) -> None:
    """Raises UsageError if a sweep would ask a person."""
    if sweep and isinstance(experiment.oracle, Person):
        raise UsageError("oracle=person asks a person, one run at a time; leave out -m and lists of values")


def require_run_to_answer(cfg: DictConfig) -> None:
    """Raises UsageError if answers are handed in to a run that is to be deleted first."""
    if cfg.get("overwrite") and cfg.oracle.get("labels"):
        raise UsageError(
            "--labels answers the run in this folder, which overwrite=true would delete; leave out overwrite=true to "
            "go on with it, or --labels to start anew"
        )


def exchange_of(cfg: DictConfig, folder: Path, record: RunRecord, oracle: Oracle, title: str) -> Exchange | None:
    """The exchange with the person who labels, or None if no person does.

    Raises UsageError if a class has a name that means something else in a filled query.
    """
    if not isinstance(oracle, Person):
        return None
    for name in oracle.names:
        if is_reserved(name):
            raise UsageError(
                f"a class is called {name!r}, but in query.csv {CANT_TELL} means that the person can't tell, and {NEW} "
                "adds a class; give this class another name"
            )
    root = Path(str(cfg.dataset.get("path") or "")).expanduser()
    return Exchange(folder, record, oracle, title, root if root.is_dir() else None)


def warn_if_needless(exchange: Exchange | None, title: str) -> None:
    """Log one line if a person shall label, but every image has its label already."""
    if exchange is not None and exchange.needless:
        root = exchange.root
        remedy = f"put images without labels into {root / UNLABELLED[0]}" if root else "give those without one label -1"
        log.warning("%s | all images have labels already, so nobody is asked; %s", title, remedy)


def record_answers(exchange: Exchange, files: Sequence[str], title: str) -> bool:
    """Record the answers of a filled query, and warn about those that can't be used. True if an answer is new."""
    before = len(exchange.record.answers)
    exchange.record.name_files(files)
    for trouble in exchange.record_answers():
        log.warning("%s | %s", title, trouble)
    return len(exchange.record.answers) > before


@contextmanager
def asking(exchange: Exchange | None, words: Sequence[str], title: str) -> Iterator[None]:
    """If the run must wait for labels, write its query and log what to do. `Waiting` still reaches the caller.

    `words` are the words of the command that continues the run.
    """
    try:
        yield
    except Waiting:
        assert exchange is not None
        exchange.ask()
        log.info("%s | %s", title, exchange.instructions(words))
        raise
