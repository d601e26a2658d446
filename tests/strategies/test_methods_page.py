"""docs/methods.md says what every strategy buys; docs/formulas.md says what it computes, its cost and its options."""

import re
from pathlib import Path

import configs
import pytest
from omegaconf import DictConfig

DOCS = Path(__file__).parents[2] / "docs"
TABLE, FORMULAS = ((DOCS / f"{name}.md").read_text() for name in ("methods", "formulas"))
ENTRIES = {
    name: " ".join(text.split())
    for name, text in re.findall(r"^- \*\*`(\w+)`\*\*:(.*?)(?=^- |^\*\*|\Z)", FORMULAS, re.S | re.M)
}
NAMES = configs.names("strategy")


def test_every_strategy_has_one_entry_and_a_row_of_the_table() -> None:
    assert FORMULAS.count("- **`") == len(ENTRIES)
    assert sorted(ENTRIES) == NAMES
    table = TABLE.partition("| `strategy=` |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_has_a_formula_a_cost_and_options_that_exist(name: str) -> None:
    what, _, rest = ENTRIES[name].partition(" Cost: ")
    cost, _, named = rest.partition(" Options: ")
    assert re.search(r"`[^`]+`", what), "the formula stands in backticks"
    assert re.search(r"O\(|gradient|passes|training|nothing|as `\w+`|that of the one", cost), cost
    options = re.findall(r"(?:^|, )`(\w+)`", re.sub(r"\([^)]*\)", "", named))
    chosen = configs.composed(f"strategy={name}").strategy
    assert isinstance(chosen, DictConfig)
    assert set(options) <= {str(key) for key in chosen} - {"_target_"}
    own = {str(key) for key in chosen} - {"_target_", "score"}
    assert bool(options) == bool(own) or "Options: as `" in ENTRIES[name]
