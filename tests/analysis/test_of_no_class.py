"""scripts/of_no_class.py on runs of two rounds, and against what is committed."""

from pathlib import Path

import loaded_scripts
import pandas as pd
import pytest

COMMITTED = Path(__file__).parents[2] / "outputs" / "reproduced" / "small_measurements" / "open_set"


def made(folder: Path, labels: list[list[int]]) -> None:
    """The two tables that the script reads, from the labels bought in every round."""
    folder.mkdir(parents=True)
    bought = [(round_, label) for round_, some in enumerate(labels) for label in some]
    pd.DataFrame(bought, columns=["round", "label"]).to_csv(folder / "acquired.csv", index=False)
    facts = [
        row
        for round_, some in enumerate(labels)
        for row in ((round_, "of_no_class", some.count(-3)), (round_, "else", 9))
    ]
    pd.DataFrame(facts, columns=["round", "name", "value"]).to_csv(folder / "queries.csv", index=False)


def test_images_of_no_class_are_counted_after_the_initial_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path / "runs" / "margin" / "seed0", [[-3, -3], [0, -3], [1, 1]])
    made(tmp_path / "runs" / "margin" / "seed1", [[0, 0], [-3, -3], [-3, 0]])
    loaded_scripts.script("of_no_class").main([str(tmp_path / "runs"), "--out", str(tmp_path / "out")])
    assert capsys.readouterr().out.startswith("margin: 50.0 ± ")  # 1 of 4 and 3 of 4
    table = pd.read_csv(tmp_path / "out" / "of_no_class.csv")
    assert table[table["seed"] == 0][["round", "bought", "of_no_class"]].to_numpy().tolist() == [
        [0, 2, 2],
        [1, 2, 1],
        [2, 2, 0],
    ]


def test_the_page_shows_the_committed_percentages() -> None:
    script = loaded_scripts.script("of_no_class")
    page = (COMMITTED.parents[2].parent / "docs" / "open_set.md").read_text()
    for strategy, values in script.percentages(pd.read_csv(COMMITTED / "of_no_class.csv")).iterrows():
        mean, half = script.interval(values.to_numpy())
        assert f"| `{strategy}` | {mean:.1f} ± {half:.1f}% |" in page
