"""Every committed compare.md is what its last line's command prints from the committed rows."""

import shlex
from pathlib import Path

import pytest

from al_runner.analysis import cli_compare

REPOSITORY = Path(__file__).parents[2]
MADE = "\n\nMade with:\n\n    "
PAGES = sorted((REPOSITORY / "outputs" / "reproduced").rglob("compare*.md"))


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: str(page.parent.relative_to(REPOSITORY / "outputs/reproduced"))
)
def test_its_command_prints_it_again(page, tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    for figures in ("forests", "critical_differences"):
        monkeypatch.setattr(cli_compare, figures, lambda *_: iter(()))
    held, _, made = page.read_text().partition(MADE)
    command, *words = shlex.split(made)
    assert command == "al-compare"
    assert cli_compare.main([*words, "--out", str(tmp_path)]) == 0
    assert (tmp_path / page.name).read_text().partition(MADE)[0] == held


def test_there_are_pages():
    assert len(PAGES) > 40
