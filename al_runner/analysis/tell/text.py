"""Numbers and lists as text for readers."""

from math import ceil, isfinite, isnan

from al_runner.analysis.table.metrics import Metric

PLAIN = 4  # decimals of a metric that is no fraction


def amount(metric: Metric, mean: float, half: float) -> str:
    """A metric's value with its 95% half-width, `4.49 ± 0.60%`; a dash for NaN."""
    return _with_half(metric, mean, half, "%")


def points(metric: Metric, mean: float, half: float) -> str:
    """A difference of two values with its half-width, `0.49 ± 0.60 points`; a dash for NaN."""
    return _with_half(metric, mean, half, " points")


def signed(metric: Metric, mean: float, half: float) -> str:
    """As `points`, with its sign and without its unit, as a table shows it under a heading: `-0.49 ± 0.60`."""
    return _with_half(metric, mean, half, "", sign="+")


def number(mean: float, half: float) -> str:
    """A count, such as labels, with its half-width."""
    if isnan(mean):
        return "-"
    return f"{mean:,.0f}" if isnan(half) else f"{mean:,.0f} ± {half:,.0f}"


def _with_half(metric: Metric, mean: float, half: float, unit: str, sign: str = "") -> str:
    """In percent with the unit if the metric is a fraction, else in the metric's own unit, which is not named."""
    if isnan(mean):
        return "-"
    digits, unit = (2, unit) if metric.share else (PLAIN, "")
    text = f"{metric.scale * mean:{sign}.{digits}f}"
    return f"{text}{unit}" if isnan(half) else f"{text} ± {metric.scale * half:.{digits}f}{unit}"


def p_value(p: float) -> str:
    """`p = 0.03`, `p < 0.001`, or `p not defined` for NaN."""
    if isnan(p):
        return "p not defined"
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def short_p(p: float) -> str:
    """A p value in a table's cell; a dash for NaN."""
    return "-" if isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def seconds(value: float) -> str:
    """Seconds as text, in minutes from 2 minutes on, in hours from 2 hours on; a dash for NaN."""
    if isnan(value):
        return "-"
    if value < 120:
        return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def seeds_text(count: float) -> str:
    """`seeds_needed` as text; a dash if it is unknown."""
    if isnan(count):
        return "-"
    return f"{ceil(count):,}" if isfinite(count) else "over a million"
