"""What is declared of every option, read from declared.json: importing the targets, and torch with them, takes long."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FILE = Path(__file__).with_name("declared.json")  # written by `python scripts/settings.py`
RECIPE = "al_runner.training.Recipe"
OPTIMISERS = ("torch.optim.Adam", "torch.optim.AdamW", "torch.optim.RMSprop", "torch.optim.SGD")
# What the choices of conf/ build at a place. The help shows also those of its options that the choice leaves out.
# learner.first and learner.recipe are not here: they are the choice of training=, unless a preset says otherwise.
PLACES = {
    "budget": ("al_runner.budget.Budget",),
    "training": (RECIPE,),
    "training.optimizer": OPTIMISERS,
    "learner.optimizer": OPTIMISERS,
    "strategy.recipe": (RECIPE,),
    "strategy.recipe.optimizer": OPTIMISERS,
    "oracle.recipe": (RECIPE,),
    "oracle.recipe.optimizer": OPTIMISERS,
}


class Declaration(NamedTuple):
    """What is declared of an option."""

    may_be: str
    meaning: str
    default: str | None = None  # as YAML, if some choice leaves it out of its file


@cache
def declared() -> Mapping[str, Mapping[str, Declaration]]:
    """All options by target and name, "" for al-run's own."""
    by_target = json.loads(FILE.read_text(encoding="utf-8"))
    return {target: {name: Declaration(*of) for name, of in options.items()} for target, options in by_target.items()}


def with_defaults(target: str) -> Mapping[str, Declaration]:
    """The options of a target that some choice leaves out of its file."""
    return {name: of for name, of in declared().get(target, {}).items() if of.default is not None}


def complete(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by dotted names, with the default of every option that a part leaves out, if PLACES has its target."""
    targets = {target for of_place in PLACES.values() for target in of_place}
    defaults: dict[str, Any] = {}
    for name, value in options.items():
        place = name.removesuffix("_target_")
        if place != name and value in targets:
            left = with_defaults(value)
            defaults |= {f"{place}{option}": yaml.safe_load(str(of.default)) for option, of in left.items()}
    return {**defaults, **options}


def as_yaml(value: object) -> str:
    """A value as one line of YAML."""
    plain = [*value] if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=10**6, allow_unicode=True).strip()
    return text.removesuffix("...").strip()
