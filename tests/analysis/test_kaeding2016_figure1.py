"""Figure 1 of Kaeding et al. (2016): its tables from a small table whose means can be seen at a glance."""

from types import ModuleType

import loaded_scripts
import pandas as pd
import pytest

# By strategy, then update (the first is the first training): accuracies of seeds 0, 1, 2, and classes found.
TABLE = {
    "random": ([(0.3, 0.3, 0.3), (0.4, 0.5, 0.3), (0.5, 0.6, 0.4)], [10, 11, 12]),
    "emoc": ([(0.3, 0.3, 0.3), (0.5, 0.4, 0.6), (0.8, 0.7, 0.9)], [10, 12, 12]),
}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return loaded_scripts.script("kaeding2016_figure1")


@pytest.fixture
def runs() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"strategy": name, "seed": seed, "labelled": 1000 + 25 * update, "test_accuracy": value, "classes": found}
            for name, (accuracies, classes) in TABLE.items()
            for update, (values, found) in enumerate(zip(accuracies, classes, strict=True))
            for seed, value in enumerate(values)
        ]
    )


def test_means_leave_the_first_training_out(script: ModuleType, runs: pd.DataFrame) -> None:
    rows = {row[0]: row[1:] for row in script.means(runs).rows}
    seeds, accuracy, leads, _, classes, leads_classes = rows["random"]
    assert (seeds, leads, leads_classes) == ("3", "0 of 2", "1 of 2")
    assert accuracy.startswith("45.00 ± 24.8")  # of .45, .55 and .35: 4.303 times .1 / sqrt(3)
    assert classes == "11.50 ± 0.00"
    assert rows["emoc"][1].startswith("65.00 ±")
    assert (rows["emoc"][2], rows["emoc"][5]) == ("2 of 2", "2 of 2")  # of equal means both lead


def test_pairs_are_differences_by_seed(script: ModuleType, runs: pd.DataFrame) -> None:
    ((pair, accuracy, p, classes, _),) = script.pairs(runs).rows
    assert pair == "emoc - random"
    assert accuracy == "+20.00 ± 49.68"  # of 20, 0 and 40: 4.303 times 20 / sqrt(3)
    assert p == "0.225"  # t = sqrt(3), two degrees of freedom
    assert classes == "+0.50 ± 0.00"


def test_the_figure_has_both_panels(script: ModuleType, runs: pd.DataFrame) -> None:
    runs = runs.assign(dataset="cifar100", model="net", learner="fine_tuned", training="t", budget="b", name="")
    labels = [axes.get_ylabel() for axes in script.figure1(runs).axes]
    assert labels == ["test accuracy (%)", "classes found"]
