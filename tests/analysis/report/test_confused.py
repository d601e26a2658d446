"""The confusion matrices of al-report, against values by hand."""

import re
from pathlib import Path

import pandas as pd
import pytest
from made_runs import make_run

from al_runner.analysis import cli_report
from al_runner.analysis.report.confused import largest, last_confusion, matrices, mean_shares, square
from al_runner.analysis.report.page import page
from al_runner.analysis.report.source import Source
from al_runner.errors import UsageError

ONE = [(2, 0, 0, 3), (2, 0, 1, 1), (2, 1, 1, 2), (2, 2, 0, 4)]
TWO = [(2, 0, 0, 1), (2, 0, 1, 3), (2, 1, 1, 5)]  # its test set has no image of class 2


def record(folder: Path, cells: list[tuple[int, int, int, int]]) -> Path:
    lines = ["round,class,prediction,images", *(",".join(map(str, cell)) for cell in cells)]
    (folder / "confusion.csv").write_text("\n".join(lines) + "\n")
    return folder


def cells_of(cells: list[tuple[int, int, int, int]]) -> pd.DataFrame:
    return pd.DataFrame(cells, columns=["round", "class", "prediction", "images"])


def test_the_newest_round_of_a_file_counts(tmp_path: Path) -> None:
    assert last_confusion(tmp_path) is None
    record(tmp_path, [(1, 0, 0, 9), (1, 0, 1, 1), (3, 0, 0, 10)])
    cells = last_confusion(tmp_path)
    assert cells is not None
    assert cells.to_numpy().tolist() == [[3, 0, 0, 10]]
    assert last_confusion(record(tmp_path, [])) is None
    with pytest.raises(UsageError, match=r"confusion\.csv, line 2: prediction is '-1'"):
        last_confusion(record(tmp_path, [(1, 0, -1, 9)]))


def test_shares_are_of_a_class_and_a_mean_over_the_seeds_that_have_it() -> None:
    shares = mean_shares([cells_of(ONE), cells_of(TWO)])
    assert square(shares, 3).tolist() == [[0.5, 0.5, 0], [0, 1, 0], [1, 0, 0]]
    assert square(mean_shares([cells_of([*ONE, (2, 2, 1, 0)])]), 3).tolist() == [[0.75, 0.25, 0], [0, 1, 0], [1, 0, 0]]


def test_the_most_frequent_confusions_are_said_in_words() -> None:
    shares = mean_shares([cells_of(ONE), cells_of(TWO)])
    assert largest(shares, ["cat", "dog"], 3) == "2 taken for cat (100%), cat taken for dog (50%)"
    assert largest(shares, [], 1) == "2 taken for 0 (100%)"
    assert largest(mean_shares([cells_of([(0, 1, 1, 5)])]), [], 3) == ""


def of_runs(root: Path, recorded: dict[str, list[list[tuple[int, int, int, int]]]]) -> Source:
    for strategy, seeds in recorded.items():
        for seed, cells in enumerate(seeds):
            record(make_run(root, strategy, seed, [0.6, 0.4, 0.3 - len(strategy) / 100]), cells)
    return Source.of(root, root)


def test_every_curve_has_a_matrix_and_that_of_the_best_is_open(tmp_path: Path) -> None:
    source = of_runs(tmp_path, {"random": [ONE, TWO, ONE], "entropy": [TWO, TWO, TWO]})
    make_run(tmp_path, "badge", 0, [0.6, 0.4, 0.3])  # of an older version
    names = {"random": "Random", "entropy": "Entropy"}
    runs = source.comparison.cases[0].runs
    made = {matrix.name: matrix for matrix in matrices(runs, source.confusions, names, ["cat", "<dog>"], "entropy")}
    assert {name: matrix.first for name, matrix in made.items()} == {"Random": False, "Entropy": True}
    entropy, random = made["Entropy"], made["Random"]
    assert (entropy.classes, random.classes) == (["cat", "<dog>"], ["cat", "<dog>", "2"])
    assert entropy.note == "Mean of 3 seeds, 24 labels. Most often wrong: cat taken for <dog> (75%)."
    assert [[cell.text for cell in row] for _, row in entropy.rows] == [["25", "75"], ["", "100"]]
    assert [[cell.kind for cell in row] for _, row in entropy.rows] == [["right", "wrong"], ["", "right"]]
    assert entropy.rows[0][1][1].title == "cat, predicted <dog>: 75.00%"
    assert [cell.text for cell in random.rows[0][1]] == ["58", "42", ""]  # 2/3 of 3/4 and 1/3 of 1/4
    assert random.turned
    text = page(Source.of(tmp_path, tmp_path))
    assert re.findall(r'<details class="confusion"( open)?><summary>(\w+)', text) == [
        ("", "Random"),
        (" open", "Entropy"),
    ]
    assert 'title="0, predicted 1: 75.00%">75</td>' in text


def test_a_share_that_rounds_to_0_is_not_shown_as_0(tmp_path: Path) -> None:
    source = of_runs(tmp_path, {"random": [[(2, 0, 0, 999), (2, 0, 1, 1), (2, 1, 1, 1)]]})
    (matrix,) = matrices(source.frame, source.confusions, {"random": "Random"}, (), "")
    assert [cell.text for cell in matrix.rows[0][1]] == ["100", "<1"]
    assert matrix.note.startswith("One seed, 24 labels.")
    assert not matrix.turned
    assert matrix.first


def test_too_many_classes_are_not_drawn_and_the_largest_confusions_are_named(tmp_path: Path) -> None:
    """A stranger's file can't make the page large either."""
    cells = [(2, number, number, 9) for number in range(30)] + [(2, 7, 2**52, 3)]
    (matrix,) = matrices(
        (source := of_runs(tmp_path, {"random": [cells]})).frame, source.confusions, {"random": "Random"}, (), ""
    )
    assert matrix.rows == ()
    assert f"Most often wrong: 7 taken for {2**52} (25%)." in matrix.note
    assert f"{2**52 + 1:,} classes are too many for a matrix." in matrix.note


def test_a_folder_without_matrices_says_so_and_a_damaged_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(tmp_path, "random", 0, [0.6, 0.4])
    assert cli_report.main([str(tmp_path)]) == 0
    assert "No confusion matrices: no run here has a confusion.csv." in (tmp_path / "report.html").read_text()
    record(folder, [(1, 0, 0, -4)])
    cli_report.main([str(tmp_path)])
    assert "confusion.csv, line 2: images is '-4'" in capsys.readouterr().err
