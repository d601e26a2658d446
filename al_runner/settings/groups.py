"""The groups of al-run's configuration, and the names and defaults of options."""

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

DECLARED = Path(__file__).with_name("declared.json")  # written by `python scripts/settings.py`


class Declaration(NamedTuple):
    """What is declared of an option."""

    may_be: str
    meaning: str
    default: str | None = None  # as YAML, if some choice leaves it out of its file


@cache
def declared() -> Mapping[str, Mapping[str, Declaration]]:
    """All options by target and name, "" for al-run's own; read from a file, since the targets would import torch."""
    by_target = json.loads(DECLARED.read_text(encoding="utf-8"))
    return {target: {name: Declaration(*of) for name, of in options.items()} for target, options in by_target.items()}


def left_out(group: str) -> Mapping[str, Declaration]:
    """The options that some choice of a group leaves out of its file, if all choices of the group have one target."""
    options = declared()[TARGETS[group]] if group in TARGETS else {}
    return {name: of for name, of in options.items() if of.default is not None}


def complete(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by dotted names, with the default of every option that a part with a target in TARGETS leaves out."""
    groups = {target: group for group, target in TARGETS.items()}
    parts = {name.removesuffix("_target_"): groups.get(str(value)) for name, value in options.items()}
    defaults = {
        f"{place}{name}": yaml.safe_load(str(of.default))
        for place, group in parts.items()
        if group
        for name, of in left_out(group).items()
    }
    return {**defaults, **options}


def as_yaml(value: object) -> str:
    """A value as one line of YAML."""
    plain = [*value] if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=10**6, allow_unicode=True).strip()
    return text.removesuffix("...").strip()


def conf_dir() -> Path:
    """The folder conf/: inside the package in a wheel, beside the package in a checkout."""
    package = Path(__file__).parents[1]
    packaged = package / "conf"
    return packaged if packaged.exists() else package.parent / "conf"


def optional_groups() -> tuple[str, ...]:
    """The groups that conf/config.yaml leaves without a choice, in its order."""
    return tuple(group for group, choice in default_choices().items() if choice is None)


def default_choices() -> dict[str, str | None]:
    """The choice that conf/config.yaml makes in every group."""
    defaults = yaml.safe_load((conf_dir() / "config.yaml").read_text(encoding="utf-8"))["defaults"]
    return {
        group: choice
        for entry in defaults
        if isinstance(entry, dict)
        for group, choice in entry.items()
        if not group.startswith("override ")
    }


def no_option(name: str, beside: Iterable[str], everywhere: Iterable[str] = ()) -> str:
    """The message for a dotted name that is no option.

    It suggests the most similar name of the options `beside` it, else an option among `everywhere` with the same last
    name; else it lists what there is.
    """
    if name in RENAMED:
        return f"there is no option {name} any more; use {RENAMED[name]}"
    place, _, last = name.rpartition(".")
    beside = [*beside]
    close = [f"{place}.{other}".lstrip(".") for other in get_close_matches(last, beside, n=1, cutoff=0.7)]
    elsewhere = [other for other in everywhere if other.rpartition(".")[2] == last]
    if close or elsewhere:
        return f"there is no option {name}; did you mean {[*close, *elsewhere][0]}?"
    there = f"{place} has {', '.join(beside) or 'no options'}" if place else SEE_HELP
    return f"there is no option {name}; {there}"


def no_choice(group: str, name: str, choices: Iterable[str]) -> str:
    """The message for a choice that its group does not have: the most similar one, else all that there are."""
    choices = [*choices]
    close = get_close_matches(name, choices, n=1, cutoff=0.7)
    hint = f"did you mean {group}={close[0]}?" if close else f"choose from {', '.join(choices)}"
    return f"there is no {group}={name}; {hint}"


RENAMED = {"budget.balanced": "budget.initial_by=balanced, or budget.initial_by=random for false"}
SEE_HELP = "al-run --help lists all groups and settings"
TARGETS = {"budget": "al_runner.budget.Budget", "training": "al_runner.training.Recipe"}  # of all choices of a group
GROUPS = tuple(default_choices())
OPTIONAL = optional_groups()
