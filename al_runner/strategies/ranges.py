"""Numbers held to the range that mathematics gives them."""

from torch import Tensor

ROUNDING = 1e-5  # how far float32 predictions may take a score beyond its range


def finite(values: Tensor, what: str) -> Tensor:
    """The values; ArithmeticError that says `what` they are, where one is NaN or infinite."""
    if not bool(values.isfinite().all()):
        raise ArithmeticError(f"{what} is not finite: the net computes NaN or infinite values")
    return values


def in_range(scores: Tensor, highest: float, name: str) -> Tensor:
    """The scores without what rounding took below 0 or above `highest`; ArithmeticError where it is more, or NaN."""
    if not bool(((scores >= -ROUNDING) & (scores <= highest + ROUNDING)).all()):
        raise ArithmeticError(
            f"a score of {name} is not in [0, {highest:.6g}]: the predictions are NaN or don't add to 1"
        )
    return scores.clamp(0, highest)
