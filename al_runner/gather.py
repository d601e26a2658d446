"""Runs several coroutines that ask for fits as one, so that an engine gets all their fits together."""

from collections.abc import Generator, Sequence
from typing import Any, Generic

from al_runner.training import Asking, Fit, Result, Trained


class gather(Generic[Result]):
    """Awaits several coroutines that ask for fits, and returns their results in order.

    All the fits that they ask for at one time are asked for together. Raises the first exception of a fit or of a
    coroutine, and closes the others.
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
        """Give the jobs their answers and return their next fits; the result of a job that ends goes into `results`."""
        asked = {}
        for place, answer in answers.items():
            try:
                asked[place] = self.jobs[place].send(answer)
            except StopIteration as end:
                results[place] = end.value
        return asked
