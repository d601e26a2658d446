"""Which rounds' weights stay in a run's folder, and that they come back as they were."""

from pathlib import Path

import pytest
import torch

from al_runner.errors import UsageError
from al_runner.record.weights import Saved, keep, load


def saved(round_: int, nets: int = 1) -> Saved:
    states = [{"layer.weight": torch.full((2, 3), 100.0 * net + round_).T} for net in range(nets)]
    return Saved(states, ("cat", "dog, brown"), (3, 8, 9), round_)


def kept_rounds(folder: Path, which: str, errors: list[float], since: int = 0) -> list[int]:
    """The round whose weights each of the files holds after these validation errors, from round `since` on."""
    rows = [{"val_error": error} for error in errors]
    for round_ in range(since, len(errors)):
        keep(folder, which, saved(round_), rows[round_], rows[:round_])
    return [load(folder, path.stem).round for path in sorted((folder / "weights").iterdir()) if path.stem[0] != "r"]


@pytest.mark.parametrize(
    ("errors", "best"),
    [([0.5, 0.3, 0.4], 1), ([0.2, 0.4, 0.3], 0), ([0.5, 0.3, 0.3], 1), ([0.2, 0.3], 0), ([0.3, 0.2, 0.1], 2)],
)
def test_the_best_are_those_of_the_lowest_error_and_the_first_of_equals(
    tmp_path: Path, errors: list[float], best: int
) -> None:
    assert kept_rounds(tmp_path / "whole", "best", errors) == [best]
    kept_rounds(tmp_path / "resumed", "best", errors[:-1])
    assert kept_rounds(tmp_path / "resumed", "best", errors, since=len(errors) - 1) == [best]


def test_the_last_are_the_newest_and_all_are_also_there_by_round(tmp_path: Path) -> None:
    errors = [0.2, 0.3, 0.4]
    assert kept_rounds(tmp_path / "last", "last", errors) == [2]
    assert kept_rounds(tmp_path / "all", "all", errors) == [2]
    assert [load(tmp_path / "all", round_).round for round_ in range(3)] == [0, 1, 2]
    with pytest.raises(UsageError, match=r"no weights round001 \(there: last\)"):
        load(tmp_path / "last", 1)


@pytest.mark.parametrize("nets", [1, 2, 12])
def test_every_net_comes_back_as_it_was(tmp_path: Path, nets: int) -> None:
    keep(tmp_path, "last", saved(4, nets), {"val_error": 0.5}, [])
    held, expected = load(tmp_path, None), saved(4, nets)
    assert (held.classes, held.image_shape, held.round) == (expected.classes, expected.image_shape, expected.round)
    for ours, theirs in zip(held.states, expected.states, strict=True):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_weights_that_can_t_be_saved_end_no_run_and_damaged_ones_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "weights").write_text("")
    keep(tmp_path / "file", "last", saved(7), {"val_error": 0.5}, [])
    assert "the weights of round 7 can't be saved" in caplog.text
    keep(tmp_path, "last", saved(0), {"val_error": 0.5}, [])
    path = tmp_path / "weights" / "last.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UsageError, match=r"last.safetensors can't be read .*; delete it"):
        load(tmp_path, None)
