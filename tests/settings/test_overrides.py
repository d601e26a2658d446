"""Options that a part of one's own takes and its file leaves out."""

from pathlib import Path

import pytest

import al_runner
from al_runner.errors import UsageError

MODULE = """
from al_runner.strategies.base import ByScore

class Own(ByScore):
    def __init__(self, first, scale=1):
        self.scale = scale
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A strategy of one's own, which takes an option `scale`, and the options of a run that finds it."""
    (tmp_path / "strategy").mkdir()
    (tmp_path / "strategy" / "own_scaled.yaml").write_text("_target_: own_scaled.Own\nfirst: 1\n")
    (tmp_path / "own_scaled.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return {"results": tmp_path, "hydra.searchpath": [f"file://{tmp_path}"], "budget.query": 9999}


def test_it_can_be_set_without_a_plus(place: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"budget\.query"):  # a later mistake: the option was taken
        al_runner.run("strategy=own_scaled", "strategy.scale=3", **place)


def test_another_name_is_refused_with_those_that_there_are(place: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"there is no option strategy\.more; strategy has first, scale$"):
        al_runner.run("strategy=own_scaled", "strategy.more=3", **place)
    with pytest.raises(UsageError, match=r"there is no option strategy\.scal; did you mean strategy\.scale\?"):
        al_runner.run("strategy=own_scaled", "strategy.scal=3", **place)
