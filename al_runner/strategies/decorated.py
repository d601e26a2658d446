"""Another learner's trainings, changed on their way to the engine."""

from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any

from al_runner.types import Fit, Fitted, Trained


class changed:
    """Awaiting it awaits a learner's fit, every `Fit` that it asks for changed by `change`.

    The first exception of a fit is raised, and the learner is closed.
    """

    def __init__(self, asking: Coroutine[Any, Any, Fitted], change: Callable[[Fit], Fit]):
        self.asking, self.change = asking, change

    def __await__(self) -> Generator[Sequence[Fit], list[Trained], Fitted]:
        answers: list[Trained] | None = None
        try:
            while True:
                asked = self.asking.send(answers)
                answers = yield [self.change(fit) for fit in asked]
        except StopIteration as end:
            fitted: Fitted = end.value
            return fitted
        finally:
            self.asking.close()
