"""The order in which a sweep's runs are made."""

import re
from pathlib import Path

import pytest
from command import QUICK, Command
from hydra.core.override_parser.overrides_parser import OverridesParser

import al_runner.main  # noqa: F401 - where our plugins are
from al_runner.errors import UsageError


def jobs(*words: str, size: int | None = None) -> list[list[list[str]]]:
    from hydra_plugins.al_runner_seeds import SeedsOutermost

    return SeedsOutermost.split_arguments(OverridesParser.create().parse_overrides([*words]), size)


def test_seeds_vary_slowest_wherever_they_stand_and_the_rest_keeps_its_order() -> None:
    (made,) = jobs("strategy=b,a", "seed=2,0", "dataset=usps", "name=x,y")
    assert [(seed, strategy, name) for strategy, seed, _, name in made] == [
        (f"seed={seed}", f"strategy={strategy}", f"name={name}")
        for seed in (2, 0)
        for strategy in "ba"
        for name in "xy"
    ]
    assert all(word == "dataset=usps" for _, _, word, _ in made)


@pytest.mark.parametrize(
    "words", [("strategy=a,b",), ("strategy=a,b", "seed=3"), ("training.seed=1,2", "strategy=a,b")]
)
def test_a_sweep_over_no_seeds_is_hydra_s(words: tuple[str, ...]) -> None:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    assert jobs(*words) == BasicSweeper.split_arguments(OverridesParser.create().parse_overrides([*words]), None)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("seed=interval(0,3)", r"an interval names no values to run; name them, as in seed='range\(0,3\)'"),
        ("seed=range(3,0)", r"seed=range\(3,0\) names no value; .* a range begins with the smaller number"),
        ("seed=shuffle(range(2,2))", "names no value"),
    ],
)
def test_a_sweep_over_no_value_is_refused_and_told_what_to_write(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        jobs("strategy=a,b", word)


def test_batches_are_of_the_size_asked() -> None:
    assert jobs("strategy=a,b", "seed=0,1,2", size=4) == [
        [[f"strategy={strategy}", f"seed={seed}"] for seed in (0, 1) for strategy in "ab"],
        [[f"strategy={strategy}", "seed=2"] for strategy in "ab"],
    ]


def test_the_command_makes_them_in_this_order(al_run: Command, tmp_path: Path) -> None:
    words = ["-m", "strategy=random,margin", "seed=0,1", "hydra/launcher=basic", f"results={tmp_path}", *QUICK]
    code, output = al_run(*words, "budget.max_rounds=0")
    assert code == 0, output
    assert re.findall(r"digits (\w+ seed \d) \| round +0/0", output) == [
        f"{strategy} seed {seed}" for seed in (0, 1) for strategy in ("random", "margin")
    ]
