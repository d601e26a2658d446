"""Runs jobs that ask for fits, and passes their fits to an engine."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import Any, Generic

from al_runner.engine.one_by_one import train_all
from al_runner.system.signals import RoundEnd
from al_runner.training import Asking, Fit, Result, Trained

Engine = Callable[[Sequence[Fit]], Sequence[Trained | Exception]]


class Clock:
    """Seconds spent on one job: its own work, and its share of the time in which an engine trained many fits."""

    def __init__(self) -> None:
        self._spent = 0.0
        self._since: float | None = None

    def __call__(self) -> float:
        return self._spent + (0.0 if self._since is None else perf_counter() - self._since)

    def __enter__(self) -> None:
        self._since = perf_counter()

    def __exit__(self, *_: object) -> None:
        self._spent, self._since = self(), None

    def add(self, seconds: float) -> None:
        self._spent += seconds


class Task(Generic[Result]):
    """A job that is in progress. Whenever it runs, the context `around` is entered and `clock` counts the seconds."""

    def __init__(
        self,
        job: Asking[Result],
        clock: Clock | None = None,
        around: Callable[[], AbstractContextManager[object]] = nullcontext,
    ):
        self.job, self.clock, self.around = job, clock or Clock(), around
        self.outcome: Result | Exception | RoundEnd | None = None
        self.asked: Sequence[Fit] = []
        self.answers: dict[int, Trained | Exception] = {}
        self.started, self.running = False, True

    def open_fits(self) -> list[int]:
        """Positions in `asked` of the fits that have no answer yet."""
        return [place for place in range(len(self.asked)) if place not in self.answers]

    def advance(self) -> None:
        """Give the job the answers to its last fits, and run it until it asks for more fits or ends."""
        answers = [self.answers[place] for place in range(len(self.asked))]
        errors = [answer for answer in answers if isinstance(answer, Exception)]
        self.asked, self.answers = [], {}
        try:
            with self.around(), self.clock:
                if errors:
                    self.asked = self.job.throw(errors[0])
                else:
                    self.asked = self.job.send(answers if self.started else None)  # type: ignore[arg-type]
                self.started = True
        except StopIteration as end:
            self.outcome, self.running = end.value, False
        except (Exception, RoundEnd) as error:
            self.outcome, self.running = error, False


def drive(job: Asking[Result], engine: Engine = train_all) -> Result:
    """Run one job to its end and return its result; raises the job's exception if it fails."""
    task = Task(job)
    drive_all([task], engine)
    if isinstance(task.outcome, Exception):
        raise task.outcome
    return task.outcome  # type: ignore[return-value]


def drive_all(tasks: Sequence[Task[Any]], engine: Engine) -> None:
    """Run all jobs to their ends. If a job fails, its exception is its outcome, and the others go on.

    The fits with the smallest training sets go first. So jobs that are behind catch up and then train with the others.
    If a signal asked for it, raises RoundEnd once every job has finished its round.
    """
    try:
        _drive_all(tasks, engine)
    finally:
        for task in tasks:
            task.job.close()  # in case an interruption ends all jobs; it does nothing to a job that has ended
    for task in tasks:
        if isinstance(task.outcome, RoundEnd):
            raise task.outcome


def _drive_all(tasks: Sequence[Task[Any]], engine: Engine) -> None:
    for task in tasks:
        task.advance()
    while waiting := [task for task in tasks if task.running]:
        open_fits = [(task, place) for task in waiting for place in task.open_fits()]
        least = min((len(task.asked[place].data.y) for task, place in open_fits), default=0)
        now = [(task, place) for task, place in open_fits if len(task.asked[place].data.y) == least]
        outcomes = engine([task.asked[place] for task, place in now])
        for (task, place), outcome in zip(now, outcomes, strict=True):
            task.answers[place] = outcome
            if isinstance(outcome, Trained):
                task.clock.add(outcome.seconds)
        for task in waiting:
            if not task.open_fits():
                task.advance()
