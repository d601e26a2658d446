"""scripts/bought_by_class.py on runs of two rounds, and against what is committed."""

from pathlib import Path

import loaded_scripts
import pandas as pd
import pytest

MEASUREMENTS = Path(__file__).parents[2] / "outputs" / "reproduced" / "small_measurements"


def made(folder: Path, labels: list[list[int]]) -> None:
    """The table that the script reads, from the labels bought in every round."""
    folder.mkdir(parents=True)
    bought = [(round_, label) for round_, some in enumerate(labels) for label in some]
    pd.DataFrame(bought, columns=["round", "label"]).to_csv(folder / "acquired.csv", index=False)


def test_images_are_counted_after_the_initial_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path / "runs" / "margin" / "seed0", [[-3, -3], [0, -3], [1, 1]])
    made(tmp_path / "runs" / "margin" / "seed1", [[0, 0], [-3, -3], [-3, 0]])
    made(tmp_path / "runs" / "random" / "seed0", [[-3], [0, 2]])
    words = [str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    loaded_scripts.script("bought_by_class").main([*words, "--labels=-3"])
    printed = capsys.readouterr().out
    assert printed.startswith("margin: 50.0 ± ")  # 1 of 4 and 3 of 4
    assert "random: 0.0 ± nan% have label -3, 1 seeds" in printed
    loaded_scripts.script("bought_by_class").main([*words, "--labels=0,1"])
    assert capsys.readouterr().out.startswith("margin: 50.0 ± ")  # 3 of 4 and 1 of 4
    table = pd.read_csv(tmp_path / "out" / "bought_by_class.csv")
    assert table[(table["strategy"] == "margin") & (table["seed"] == 0)].drop(
        columns=["strategy", "seed"]
    ).to_numpy().tolist() == [[0, -3, 2], [1, -3, 1], [1, 0, 1], [2, 1, 2]]


@pytest.mark.parametrize(
    ("folder", "labels", "page", "row"),
    [
        ("open_set", [-3], "docs/open_set.md", "| `{}` | {:.1f} ± {:.1f}% |"),
        ("vaal", [1], "docs/methods.md", "`{}` {:.1f} ± {:.1f}%"),
        ("galaxy", [7, 8, 9], "docs/rare_classes.md", "`{}` {:.1f} ± {:.1f}%"),
    ],
)
def test_the_page_shows_the_committed_percentages(folder: str, labels: list[int], page: str, row: str) -> None:
    script = loaded_scripts.script("bought_by_class")
    text = " ".join((MEASUREMENTS.parents[2] / page).read_text().split())
    table = script.percentages(pd.read_csv(MEASUREMENTS / folder / "bought_by_class.csv"), labels)
    assert len(table) == 3
    for strategy, values in table.iterrows():
        assert row.format(strategy, *script.interval(values.to_numpy())) in text
