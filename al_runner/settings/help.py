"""The part of al-run --help that depends on the user's choices: every option, its value and what it is for."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from al_runner.settings.declared import PLACES, Declaration, as_yaml, declared, with_defaults
from al_runner.settings.groups import GROUPS

COLUMN, WIDTH = 40, 120  # where the meanings begin, and where lines end
HIDDEN = {"_target_", "_partial_"}


def settings(_root_: DictConfig) -> str:
    """The options of a composed configuration, for Hydra's template of the help."""
    own = declared()[""]
    lines = [line for name, of in own.items() for line in option(name, as_yaml(raw(_root_)[name]), of, "")]
    for group in GROUPS:
        if isinstance(_root_.get(group), DictConfig):
            choice = _root_.hydra.runtime.choices.get(group)
            lines += ["", f"{group}: {choice}", *part(raw(_root_[group]), group)]
    return "\n".join(lines).replace("$", "$$")


def raw(node: DictConfig) -> dict[str, Any]:
    """A configuration as it is written, with its interpolations."""
    return cast(dict[str, Any], OmegaConf.to_container(node, resolve=False))


def part(node: Mapping[str, Any], place: str) -> Iterator[str]:
    """The lines for all options of a node with a `_target_` at a place, such as training.optimizer."""
    target, indent = str(node.get("_target_")), "  " * (place.count(".") + 1)
    texts = declared().get(target, {})
    for name, value in node.items():
        if name in HIDDEN:
            continue
        if isinstance(value, Mapping) and "_target_" in value:
            yield from option(name, str(value["_target_"]).rpartition(".")[2], texts.get(name), indent)
            yield from part(value, f"{place}.{name}")
        else:
            yield from option(name, as_yaml(value), texts.get(name), indent)
    for name, of in with_defaults(target).items():
        if place in PLACES and name not in node:
            yield from option(name, str(of.default), of, indent)


def option(name: str, value: str, of: Declaration | None, indent: str) -> list[str]:
    """The lines for one option: its name, its value, what it is for, and, in parentheses, what it may be."""
    start = f"{indent}{name}: {value}"
    if of is None:
        return [start]
    first = f"{start} " if len(start) < COLUMN else f"{start}  "
    return textwrap.wrap(
        f"{of.meaning} ({of.may_be})", WIDTH, initial_indent=first.ljust(COLUMN), subsequent_indent=" " * COLUMN
    )
