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
        """Record a check's validation error or loss; True if the weights of this check are kept.

        They are kept if it is a new strict minimum, or if the recipe keeps the last weights.
        """
        self.checks += 1
        if error < self._target and error <= (1 - self._recipe.min_improvement) * self._target:
            self._target, self._stale = error, 0
        else:
            self._stale += 1
        lowest = error < self._lowest  # never of a NaN, so it can't hide the minimum of later checks
        if lowest:
            self._lowest = error
        return lowest or self._recipe.keep == "last"

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
