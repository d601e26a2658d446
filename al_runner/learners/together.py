"""Several learners' fits as one question."""

from collections.abc import Coroutine, Generator, Sequence
from typing import Any, Generic, TypeVar

from al_runner.types import Fit, Trained

Result = TypeVar("Result")
Asking = Coroutine[Sequence[Fit], list[Trained] | None, Result]


class together(Generic[Result]):
    """Awaiting it runs coroutines that ask for fits, all their open questions as one, and gives their results in order.

    The first exception of a fit or of a coroutine is raised, and the others are closed.
    """

    def __init__(self, jobs: Sequence[Asking[Result]]):
        self.jobs = jobs

    def __await__(self) -> Generator[Sequence[Fit], list[Trained], list[Result]]:
        try:
            results: dict[int, Result] = {}
            asked = self._advance(dict.fromkeys(range(len(self.jobs))), results)
            while asked:
                answers = iter((yield [fit for fits in asked.values() for fit in fits]))
                shares = {place: [next(answers) for _ in fits] for place, fits in asked.items()}
                asked = self._advance(shares, results)
            return [results[place] for place in range(len(self.jobs))]
        finally:
            for job in self.jobs:
                job.close()

    def _advance(self, answers: dict[int, Any], results: dict[int, Result]) -> dict[int, Sequence[Fit]]:
        """Give the jobs their answers; what they ask next, and into `results` what those return that have ended."""
        asked = {}
        for place, answer in answers.items():
            try:
                asked[place] = self.jobs[place].send(answer)
            except StopIteration as end:
                results[place] = end.value
        return asked
