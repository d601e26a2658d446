"""The examples in docs/ give what they show."""

import doctest
from pathlib import Path

import pytest

DOCS = sorted(page for page in (Path(__file__).parents[1] / "docs").glob("*.md") if ">>>" in page.read_text())


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_the_examples_give_what_they_show(page: Path) -> None:
    result = doctest.testfile(str(page), module_relative=False)
    assert result.failed == 0
    assert result.attempted > 0


def test_there_is_a_page_for_library_use() -> None:
    assert "library.md" in {page.name for page in DOCS}
