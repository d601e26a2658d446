"""When training ends, and which weights are kept."""

from torch import Tensor

from al_runner.types import Recipe


class NonFiniteLoss(ArithmeticError):
    """The training loss became NaN or infinite."""

    def __init__(self, step: int):
        super().__init__(f"the training loss is not finite at step {step}")
        self.step = step


class Patience:
    """The rule of `Recipe`, for one net."""

    def __init__(self, recipe: Recipe):
        self._recipe = recipe
        self._lowest = self._target = float("inf")
        self.checks = self._stale = 0

    def lowest(self, error: float) -> bool:
        """Take note of a check's validation error; whether it is the lowest so far, the first of equals."""
        self.checks += 1
        if error < self._target and error <= (1 - self._recipe.min_improvement) * self._target:
            self._target, self._stale = error, 0
        else:
            self._stale += 1
        lowest = error < self._lowest
        self._lowest = min(error, self._lowest)
        return lowest

    @property
    def over(self) -> bool:
        recipe = self._recipe
        reached = recipe.target_error is not None and self._lowest <= recipe.target_error
        return reached or self._stale == recipe.patience or self.checks == recipe.max_checks


def require_finite(losses: Tensor, steps_before: int) -> None:
    """NonFiniteLoss naming the first step, counted from 1, whose loss, [steps], is NaN or infinite."""
    finite = losses.isfinite()
    if not bool(finite.all()):
        raise NonFiniteLoss(steps_before + int((~finite).nonzero()[0]) + 1)
