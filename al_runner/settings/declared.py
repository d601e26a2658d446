"""What is declared of every option, read from declared.json: importing the targets, and torch with them, takes long."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FILE = Path(__file__).with_name("declared.json")  # written by `python scripts/settings.py`
# The target of every choice of a group. Options that a choice leaves out of its file can then be set all the same.
TARGETS = {"budget": "al_runner.budget.Budget", "training": "al_runner.training.Recipe"}


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


def left_out(group: str) -> Mapping[str, Declaration]:
    """The options that some choice of a group leaves out of its file, if all choices of the group have one target."""
    options = declared()[TARGETS[group]] if group in TARGETS else {}
    return {name: of for name, of in options.items() if of.default is not None}


def complete(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by dotted names, with the default of every option that a part with a target in TARGETS leaves out."""
    groups = {target: group for group, target in TARGETS.items()}
    defaults: dict[str, Any] = {}
    for name, value in options.items():
        place = name.removesuffix("_target_")
        if place != name and value in groups:
            left = left_out(groups[value])
            defaults |= {f"{place}{option}": yaml.safe_load(str(of.default)) for option, of in left.items()}
    return {**defaults, **options}


def as_yaml(value: object) -> str:
    """A value as one line of YAML."""
    plain = [*value] if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=10**6, allow_unicode=True).strip()
    return text.removesuffix("...").strip()
