"""Where the right panel begins."""

import numpy as np

from al_runner.analysis.draw.split import automatic_split
from al_runner.analysis.stats.curves import Curve


def curve(name, errors):
    counts = np.arange(1, len(errors) + 1) * 10
    nothing = np.full(len(errors), np.nan)
    return Curve(name, False, counts, np.array(errors), nothing, nothing, np.array(errors)[:, None])


def test_it_is_where_the_best_curve_has_fallen():
    slow = curve("slow", np.linspace(0.9, 0.3, 20))
    fast = curve("fast", [1.0, 0.7, 0.4, 0.2, 0.13, 0.12, 0.11, *[0.1] * 13])
    assert automatic_split([slow, fast]) == 50  # 0.1 + 5% of 0.9 = 0.145
    assert automatic_split([curve("flat", [0.5] * 20)]) == 30
    assert automatic_split([slow]) == 180
    assert automatic_split([curve("short", np.linspace(0.9, 0.3, 11))]) is None
    assert automatic_split([curve("long enough", np.linspace(0.9, 0.3, 12))]) == 100
    assert automatic_split([]) is None
