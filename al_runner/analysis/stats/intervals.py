"""Means and their intervals. R label counts, S seeds; half-widths are in the unit of the mean."""

from collections.abc import Sequence
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean and the half-width of its 95% interval; `half` is NaN for a single value."""

    mean: float
    half: float


def mean_and_half(values: Floats) -> tuple[Floats, Floats]:
    """Mean over the last axis and the half-width of its 95% interval, [..., S] -> [...], [...].

    Student's t interval for a normal mean of unknown variance, t(0.975, S - 1) s / sqrt(S) with the unbiased
    variance (Student, 1908); the half-width is NaN for S = 1.
    """
    count = values.shape[-1]
    mean = values.mean(-1)
    if count < 2:
        return mean, np.full_like(mean, np.nan)
    return mean, special.stdtrit(count - 1, 0.975) * values.std(-1, ddof=1) / np.sqrt(count)


def interval(values: Any) -> Interval:
    """`mean_and_half` of S numbers; both are NaN if S = 0."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return Interval(float("nan"), float("nan"))
    mean, half = mean_and_half(array)
    return Interval(float(mean), float(half))


def mean_height(values: Floats, counts: Floats) -> Floats:
    """Area under curves, divided by their width (trapezoid rule), [R, ...], [R] -> [...]; the value itself if R = 1."""
    width = counts[-1] - counts[0]
    return np.asarray(np.trapezoid(values, counts, axis=0) / width if width else values[0], dtype=np.float64)


def wilson(rate: float, count: int) -> tuple[float, float]:
    """Ends of the 95% interval of a rate that was measured on `count` independent images (Wilson, 1927).

    It shows how much an error depends on which images are in the test set. NaN if the rate is NaN.
    """
    z = float(special.ndtri(0.975))
    middle = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2))
    return middle - half, middle + half


def mean_columns(name: str, value: Sequence[float]) -> dict[str, float]:
    """A mean and its half-width as two columns of a table, `name` and `name`_half."""
    return {name: value[0], f"{name}_half": value[1]}
