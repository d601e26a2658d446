"""Where a figure's right panel begins."""

from collections.abc import Sequence

import numpy as np

from al_runner.analysis.stats.curves import Curve

LEAST_ROUNDS = 12  # of which the halves are still curves; of fewer, a scale of their own magnifies noise


def automatic_split(drawn: Sequence[Curve], fallen: float = 0.95) -> int | None:
    """Label count at which the finally best curve has fallen `fallen` of its way; None for under 12 rounds.

    At least three of its rounds stay on either side, the split counting for both.
    """
    if not drawn:
        return None
    best = min(drawn, key=lambda curve: (curve.centre[-1], curve.name))
    rounds = len(best.centre)
    if rounds < LEAST_ROUNDS:
        return None
    target = best.centre.min() + (1 - fallen) * (best.centre[0] - best.centre.min())
    first = int(np.argmax(best.centre <= target))
    return int(best.labelled[min(max(first, 2), rounds - 3)])
