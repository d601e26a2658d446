"""Changes the fits that another learner asks for, on their way to the engine."""

from collections.abc import Callable, Generator, Sequence

from al_runner.training import Asking, Fit, Trained
from al_runner.types import Fitted


class rewriting:
    """Awaits the coroutine of a learner's `fit`; every `Fit` that it asks for is changed by `change` first.

    Raises the first exception of a fit. The coroutine is closed in any case.
    """

    def __init__(self, asking: Asking[Fitted], change: Callable[[Fit], Fit]):
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
