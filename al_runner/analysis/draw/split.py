"""The label count at which a figure's right panel begins."""

from collections.abc import Sequence

import numpy as np

from al_runner.analysis.stats.curves import Curve

LEAST_ROUNDS = 12  # needed for two panels: with fewer rounds, another scale would only magnify noise
FALLEN = 0.95  # the share of its way down that a curve has made at the split


def automatic_split(drawn: Sequence[Curve]) -> int | None:
    """The label count at which the curve that ends lowest has made the share FALLEN of its way down.

    At least three of its rounds are on either side; the split counts for both. None if it has fewer than 12 rounds.
    """
    if not drawn:
        return None
    best = min(drawn, key=lambda curve: (curve.centre[-1], curve.name))
    rounds = len(best.centre)
    if rounds < LEAST_ROUNDS:
        return None
    target = best.centre.min() + (1 - FALLEN) * (best.centre[0] - best.centre.min())
    first = int(np.argmax(best.centre <= target))
    return int(best.labelled[min(max(first, 2), rounds - 3)])
