"""Replay buys what another run bought, in the same order, whatever net it trains."""

from pathlib import Path

import pandas as pd
import pytest
from command import QUICK, Command

WORDS = [*QUICK, "dataset=digits"]


@pytest.fixture
def bought(al_run: Command, tmp_path: Path) -> Path:
    """The folder of a run of margin."""
    assert al_run(*WORDS, "strategy=margin", "seed=4", f"results={tmp_path / 'first'}")[0] == 0
    (folder,) = (file.parent for file in (tmp_path / "first").rglob("acquired.csv"))
    return folder


def table(results: Path, name: str) -> pd.DataFrame:
    (file,) = results.rglob(name)
    return pd.read_csv(file)


@pytest.mark.parametrize("words", [["seed=4"], ["seed=9", "budget.initial_by=replay"]], ids=" ".join)
def test_it_buys_the_same_images_for_another_net(
    al_run: Command, tmp_path: Path, bought: Path, words: list[str]
) -> None:
    replay = ["strategy=replay", f"strategy.run={bought}", "model=mlp", *words]
    code, output = al_run(*WORDS, *replay, f"results={tmp_path / 'second'}")
    assert code == 0, output
    first, second = (table(tmp_path / place, "acquired.csv") for place in ("first", "second"))
    assert first.equals(second)


def test_with_the_same_net_and_seed_every_round_is_that_run_s(al_run: Command, tmp_path: Path, bought: Path) -> None:
    replay = ["strategy=replay", f"strategy.run={bought}", "seed=4"]
    assert al_run(*WORDS, *replay, f"results={tmp_path / 'second'}")[0] == 0
    first, second = (
        table(tmp_path / place, "rounds.csv").filter(regex="test|val|train|labelled|steps")
        for place in ("first", "second")
    )
    assert first.equals(second)


def test_a_run_ends_with_its_list(al_run: Command, tmp_path: Path, bought: Path) -> None:
    ids = table(bought, "acquired.csv").id.tolist()
    (tmp_path / "some.csv").write_text("\n".join(["id", *map(str, ids[:25]), ""]))
    words = [f"strategy.run={tmp_path / 'some.csv'}", "budget.initial_by=replay", f"results={tmp_path / 'second'}"]
    assert al_run(*WORDS, "strategy=replay", *words)[0] == 0
    assert table(tmp_path / "second", "acquired.csv").id.tolist() == ids[:25]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, "; strategy.run is the folder of a run, or a CSV file with a column id"),
        ("id\n5\n5\n", "can't be read (an id stands there twice)"),
        ("id\n", "can't be read (it names no image)"),
        ("number\n5\n", "can't be read (it has no column id of whole numbers)"),
        ("id\nfive\n", "can't be read (it has no column id of whole numbers)"),
        ("id\n" + "\n".join(map(str, range(100_000, 100_100))), "has the id 100000, which is none of the training im"),
        ("id\n5\n", "budget.initial is 20, more than the 1 labels the run may buy"),
    ],
)
def test_a_list_that_will_not_do_is_named_before_any_training(
    al_run: Command, tmp_path: Path, text: str | None, line: str
) -> None:
    file = tmp_path / "list.csv"
    if text is not None:
        file.write_text(text)
    words = ["strategy=replay", f"strategy.run={file}", "budget.initial_by=replay", f"results={tmp_path / 'out'}"]
    code, output = al_run(*WORDS, *words)
    assert (code, line in output) == (1, True), output
    assert not list((tmp_path / "out").rglob("rounds.csv"))


def test_a_run_must_be_named(al_run: Command, tmp_path: Path) -> None:
    code, output = al_run(*WORDS, "strategy=replay", f"results={tmp_path}")
    assert (code, "name its folder with strategy.run=" in output) == (1, True), output
