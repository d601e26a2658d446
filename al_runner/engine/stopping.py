"""The rules that say when training ends and which weights are kept."""

from torch import Tensor

from al_runner.training import Recipe


class NonFiniteLoss(ArithmeticError):
    """The training loss became NaN or infinite."""

    def __init__(self, step: int):
        super().__init__(f"the training loss is not finite at step {step}")
        self.step = step


class Patience:
    """The stopping rule of `Recipe`, for one net."""

    def __init__(self, recipe: Recipe):
        self._recipe = recipe
        self._lowest = self._target = float("inf")
        self.checks = self._stale = 0

    def record(self, error: float) -> bool:
        """Record the validation error of a check, in [0, 1]; True if it is a new strict minimum."""
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
        """Whether training ends now."""
        recipe = self._recipe
        reached = recipe.target_error is not None and self._lowest <= recipe.target_error
        return reached or self._stale == recipe.patience or self.checks == recipe.max_checks


def require_finite(losses: Tensor, steps_before: int) -> None:
    """Raises NonFiniteLoss for the first step, counted from 1, if its loss in `losses`, [steps], is NaN or infinite."""
    finite = losses.isfinite()
    if not bool(finite.all()):
        raise NonFiniteLoss(steps_before + int((~finite).nonzero()[0]) + 1)
