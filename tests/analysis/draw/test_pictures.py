"""Figures of real runs against pictures that were looked at: USPS, 3 seeds to 320 labels, and MNIST, 1 seed.

AL_NEW_PICTURES=1 draws the pictures anew; look at them before they are committed.
"""

import os
import shutil
from pathlib import Path

import pytest
from matplotlib.testing.compare import compare_images

from al_runner.analysis.draw.figures import differences, facets, learning_curves, times
from al_runner.analysis.draw.forest import forest
from al_runner.analysis.draw.look import Look
from al_runner.analysis.draw.style import sheet
from al_runner.analysis.stats.case import cases
from al_runner.analysis.stats.curves import Spread
from al_runner.analysis.stats.results import results
from al_runner.analysis.table.runs import load
from al_runner.record.run_id import COMBINATION

HERE = Path(__file__).parent
FRAME = load(HERE.parents[1] / "support" / "real")
USPS, MNIST = (FRAME[FRAME["dataset"] == name] for name in ("usps", "mnist"))
FIGURES = {
    "error_log": lambda: learning_curves(USPS, Look(log=True, title="usps")),
    "accuracy_median": lambda: learning_curves(USPS, Look(accuracy=True, spread=Spread("median", "bootstrap"))),
    "best_seeds": lambda: learning_curves(USPS, Look(best=True, log=True, spread=Spread(interval="seeds"))),
    "difference": lambda: differences(USPS, Look(split=100)),
    "time": lambda: times(USPS),
    "published": lambda: learning_curves(MNIST, Look(log=True, published=())),
    "forest": lambda: forest(results(cases(USPS, baseline="uncertainty")), "uncertainty", Look(title="usps")),
    "facets": lambda: facets(FRAME, COMBINATION, Look(log=True)),
}


@pytest.mark.parametrize("name", FIGURES)
def test_the_picture_is_the_one_that_was_looked_at(name, tmp_path):
    drawn, held = tmp_path / f"{name}.png", HERE / "baseline" / f"{name}.png"
    with sheet():
        FIGURES[name]().savefig(drawn, dpi=80)
    if "AL_NEW_PICTURES" in os.environ:
        shutil.copy(drawn, held)
    expected = shutil.copy(held, tmp_path / "expected.png")  # a difference is written beside it
    assert compare_images(str(expected), str(drawn), tol=2) is None
