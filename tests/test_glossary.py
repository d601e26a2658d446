"""docs/glossary.md explains every column and every group of options; docs/analysis.md may explain a shown column."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from made_runs import make_run

from al_runner.analysis.table.rows import EXTRA, TIDY
from al_runner.analysis.table.runs import load
from al_runner.analysis.tell.comparison import Comparison
from al_runner.labelling.query import COLUMNS as QUERY
from al_runner.record.views import TABLES

REPOSITORY = Path(__file__).parents[1]
GLOSSARY = (REPOSITORY / "docs" / "glossary.md").read_text()
ANALYSIS = (REPOSITORY / "docs" / "analysis.md").read_text()
CURVES = ("random", "entropy", "margin")


def firsts(page: str) -> set[str]:
    """What the first cells of a page's tables name, between commas."""
    cells = re.findall(r"^\| ([^|]+) \|", page, re.M)
    return {name.strip("` ") for cell in cells for name in cell.split(", ")}


def words(page: str) -> set[str]:
    """The bold words of a page."""
    return {word for bold in re.findall(r"\*\*([^*]+)\*\*", page) for word in bold.split(", ")}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """A comparison that has every table: two data sets, three curves, a target, test images and a price."""
    root = tmp_path_factory.mktemp("runs")
    for dataset in ("usps", "mnist"):
        for place, strategy in enumerate(CURVES):
            for seed in range(3):
                errors = np.geomspace(0.6 - seed / 20, 0.1 + place / 50, 20)
                make_run(root, strategy, seed, errors.tolist(), dataset=dataset)
    frame = load(root).assign(test_images=1000.0, energy_joules=1.0)
    return Comparison.of(frame, targets=[0.35], label_cost=1.0)


def missing(names: Iterable[str], explained: set[str]) -> list[str]:
    return sorted({name for name in names if name not in explained})


def test_it_explains_every_column_of_a_run_s_files_and_of_results_csv() -> None:
    columns = [*TIDY, *EXTRA, *QUERY, *(name for columns in TABLES.values() for name in columns)]
    assert len(columns) > 30
    assert missing(columns, firsts(GLOSSARY)) == []


def test_it_explains_every_column_of_the_files_of_al_compare(compared: Comparison) -> None:
    frames = compared.frames
    assert all(len(frame) for frame in frames.values())
    columns = {column for frame in frames.values() for column in frame.columns} - set(CURVES)  # a matrix of curves
    assert len(columns) > 40
    assert missing(columns, firsts(GLOSSARY)) == []


def test_every_column_that_is_shown_is_explained(compared: Comparison) -> None:
    explained = firsts(ANALYSIS) | firsts(GLOSSARY) | words(GLOSSARY) | set(re.findall(r"`([^`]+)`", GLOSSARY))
    shown = {cell.replace("35%", "e%") for table in compared.shown() for cell in table.head} - set(CURVES)
    assert {"final error", "t, Holm", "final error, 95% by test set", "to e%", "energy"} <= shown
    unknown = [cell for cell in sorted(shown) if cell not in explained and missing(cell.split(", "), explained)]
    assert unknown == []


def test_it_explains_every_group_of_options() -> None:
    groups = {folder.name for folder in (REPOSITORY / "conf").iterdir() if folder.is_dir()}
    assert len(groups) > 10
    assert missing(groups, words(GLOSSARY)) == []
