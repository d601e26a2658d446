"""scripts/gal2017_tables.py on runs whose errors are chosen, and the published numbers it stands them beside."""

from pathlib import Path
from types import ModuleType

import configs
import loaded_scripts
import pandas as pd
import pytest
from made_runs import make_run

from al_runner.analysis.table.display import PAPERS
from al_runner.analysis.table.published import FILE, published
from al_runner.analysis.table.runs import load


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return loaded_scripts.script("gal2017_tables")


@pytest.fixture
def runs(tmp_path: Path) -> pd.DataFrame:
    counts = [20, 30, 40, 50, 1000]
    for seed, errors in enumerate([[0.5, 0.2, 0.12, 0.06, 0.020], [0.5, 0.1, 0.07, 0.05, 0.022]]):
        make_run(tmp_path, "bald", seed, errors, labelled=counts)
    make_run(tmp_path, "random", 0, [0.5, 0.3, 0.2], labelled=counts[:3])
    return load(tmp_path)


def test_acquired_images_are_counted_from_the_initial_set_by_the_mean_curve(
    script: ModuleType, runs: pd.DataFrame
) -> None:
    """The seeds' mean is 0.15 at 30 labels, 0.095 at 40, 0.055 at 50 and 0.021 at 1,000."""
    table = script.table1(runs).set_index(["strategy", "error"])
    assert table.loc[("bald", "10%"), ["acquired", "by_seed", "published"]].tolist() == [20, "30, 10", 145]
    assert table.loc[("bald", "5%"), ["acquired", "by_seed", "published"]].tolist() == [980, "980, 30", 335]
    assert pd.isna(table.loc[("random", "10%"), "acquired"])
    assert table.loc[("random", "10%"), ["by_seed", "of", "published"]].tolist() == ["-", 20, 255]
    lines = script.table1_text(script.table1(runs)).splitlines()
    assert "| random | 10% | > 20 | - | 255 |" in lines
    assert "| bald | 10% | 20 | 30, 10 | 145 |" in lines


def test_table_2_has_the_error_at_1000_labels_and_the_semi_supervised_rows(
    script: ModuleType, runs: pd.DataFrame
) -> None:
    lines = script.table2_text(script.table2(runs)).splitlines()
    assert "| bald | 2.10 ± 1.27 | 1.80 |" in lines  # t(0.975, 1) = 12.706, times 0.1 = half the difference
    assert "| random |  | 4.66 |" in lines
    assert "| ladder_gamma |  | 1.53 |" in lines
    assert len(lines) == 2 + 12


def test_the_published_numbers_are_whole_and_name_our_strategies() -> None:
    frame = pd.read_csv(FILE)
    assert frame[["paper", "item", "dataset", "strategy", "metric", "value", "source"]].notna().all(axis=None)
    assert (frame["value"] > 0).all()
    assert {*frame["paper"]} == {*PAPERS}
    shares = frame[frame["metric"] == "test_accuracy"]
    assert (shares["value"] < 1).all()
    theirs = set(published("gal2017").query("model == 'gal_cnn'")["strategy"])
    assert theirs == {"bald", "variation_ratios", "entropy", "mean_std", "random"}
    assert theirs <= set(configs.names("strategy"))
