"""Numbers and lists as text for readers."""

from math import ceil, isfinite, isnan

from al_runner.analysis.table.metrics import ERROR, Metric

PLAIN = 4  # decimals of a metric that is no fraction


def percent(mean: float, half: float, signed: bool = False) -> str:
    """A fraction and its 95% half-width in percent, `4.49 ± 0.60%`; a dash for NaN."""
    return _with_half(100 * mean, 100 * half, "%", signed)


def amount(metric: Metric, mean: float, half: float, signed: bool = False) -> str:
    """A metric's value, or a signed difference of two, in its unit with its 95% half-width; a dash for NaN."""
    return percent(mean, half, signed) if metric.share else _with_half(mean, half, "", signed, PLAIN)


def points(mean: float, half: float, metric: Metric = ERROR) -> str:
    """A difference of fractions in percentage points; of a metric that is no fraction, in its own unit."""
    if metric.share:
        return _with_half(100 * mean, 100 * half, " points", signed=False)
    return _with_half(mean, half, "", False, PLAIN)


def number(mean: float, half: float) -> str:
    """A count, such as labels, with its half-width."""
    if isnan(mean):
        return "-"
    return f"{mean:,.0f}" if isnan(half) else f"{mean:,.0f} ± {half:,.0f}"


def _with_half(mean: float, half: float, unit: str, signed: bool, digits: int = 2) -> str:
    if isnan(mean):
        return "-"
    text = f"{mean:{'+' if signed else ''}.{digits}f}"
    return f"{text}{unit}" if isnan(half) else f"{text} ± {half:.{digits}f}{unit}"


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
