"""docs/learners.md has a row for every learner."""

import re
from pathlib import Path

import configs

PAGE = (Path(__file__).parents[2] / "docs" / "learners.md").read_text()


def test_every_learner_has_one_row() -> None:
    table = PAGE.partition("| `learner=` |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == configs.names("learner")
