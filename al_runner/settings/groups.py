"""The groups of al-run's configuration, and the names of options."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

import yaml


def conf_dir() -> Path:
    """The folder conf/: inside the package in a wheel, beside the package in a checkout."""
    package = Path(__file__).parents[1]
    packaged = package / "conf"
    return packaged if packaged.exists() else package.parent / "conf"


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
    if name in OF_A_CHOICE:
        return OF_A_CHOICE[name]
    place, _, last = name.rpartition(".")
    beside = [*beside]
    close = [f"{place}.{other}".lstrip(".") for other in get_close_matches(last, beside, n=1, cutoff=0.7)]
    elsewhere = [other for other in everywhere if other.rpartition(".")[2] == last]
    if close or elsewhere:
        return f"there is no option {name}; did you mean {[*close, *elsewhere][0]}?"
    there = f"{place} has {', '.join(beside) or 'no options'}" if place else SEE_HELP
    return f"there is no option {name}; {there}"


def made_of_choices(name: str) -> str:
    """The message for an option `run.PART` that is set."""
    return f"{name} can't be set: it is made of the run's own choices; tell runs apart with name=..."


def no_choice(group: str, name: str, choices: Iterable[str]) -> str:
    """The message for a choice that its group does not have: the most similar one, else all that there are."""
    choices = [*choices]
    close = get_close_matches(name, choices, n=1, cutoff=0.7)
    rest = f"{', '.join(choices)}, or name the folder of your own files with --config-dir (docs/own.md)"
    hint = f"did you mean {group}={close[0]}?" if close else f"choose from {rest}"
    return f"there is no {group}={name}; {hint}"


RENAMED = {"budget.balanced": "budget.initial_by=balanced, or budget.initial_by=random for false"}
OF_A_CHOICE = {"oracle.labels": "--labels needs oracle=person", "oracle.classes": "oracle.classes needs oracle=person"}
SEE_HELP = "al-run --help lists all groups and settings"
CHOICES = default_choices()
GROUPS = tuple(CHOICES)
OPTIONAL = tuple(group for group, choice in CHOICES.items() if choice is None)  # conf/config.yaml leaves them empty
