"""Checks that numbers lie in the range that mathematics gives them."""

from torch import Tensor

ROUNDING = 1e-5  # rounding in float32 predictions may move a score this far out of its range


def finite(values: Tensor, what: str) -> Tensor:
    """The same values. Raises ArithmeticError, with `what` in its message, if one is NaN or infinite."""
    if not bool(values.isfinite().all()):
        raise ArithmeticError(f"{what} is not finite: the net computes NaN or infinite values")
    return values


def in_range(scores: Tensor, highest: float, name: str) -> Tensor:
    """The scores, clamped to [0, `highest`].

    Raises ArithmeticError if a score is NaN, or is outside that range by more than rounding explains.
    """
    if not bool(((scores >= -ROUNDING) & (scores <= highest + ROUNDING)).all()):
        raise ArithmeticError(
            f"a score of {name} is not in [0, {highest:.6g}]: the predictions are NaN or don't add to 1"
        )
    return scores.clamp(0, highest)
