"""Runs a coroutine that asks for fits."""

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from al_runner.engine.one_by_one import train
from al_runner.types import Fit, Trained

Result = TypeVar("Result")


def drive(job: Coroutine[Sequence[Fit], list[Trained] | None, Result]) -> Result:
    """Run `job` to its end, carrying out the fits it awaits one by one."""
    answer: Any = None
    while True:
        try:
            fits = job.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answer = [train(fit) for fit in fits]
