"""The part of al-run --help that depends on the user's choices: every option, its value and what it is for."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf

from al_runner.settings.groups import GROUPS

COLUMN, WIDTH = 40, 120  # where the meanings begin, and where lines end
HIDDEN = {"_target_", "_partial_"}


def settings(_root_: DictConfig) -> str:
    """The options of a composed configuration, for Hydra's template of the help."""
    lines = [line for name in declared()[""] for line in option(name, raw(_root_)[name], declared()[""][name], "")]
    for group in GROUPS:
        if isinstance(_root_.get(group), DictConfig):
            choice = _root_.hydra.runtime.choices.get(group)
            lines += ["", f"{group}: {choice}", *part(raw(_root_[group]), {}, "  ")]
    return "\n".join(lines).replace("$", "$$")


@cache
def declared() -> Mapping[str, Mapping[str, list[str]]]:
    """By target and option: what it may be, and what it is for (written by `python scripts/settings.py`)."""
    file = Path(__file__).with_name("declared.json")
    return cast(Mapping[str, Mapping[str, list[str]]], json.loads(file.read_text(encoding="utf-8")))


def raw(node: DictConfig) -> dict[str, Any]:
    """A configuration as it is written, with its interpolations."""
    return cast(dict[str, Any], OmegaConf.to_container(node, resolve=False))


def part(node: Mapping[str, Any], above: Mapping[str, list[str]], indent: str) -> Iterator[str]:
    """The lines for all options of a node with a `_target_`."""
    texts = declared().get(str(node.get("_target_")), above)
    for name, value in node.items():
        if name in HIDDEN:
            continue
        if isinstance(value, Mapping) and "_target_" in value:
            target = str(value["_target_"])
            yield from option(name, target.rpartition(".")[2], texts.get(name, ["", ""]), indent)
            yield from part(value, {}, f"{indent}  ")
        else:
            yield from option(name, value, texts.get(name, ["", ""]), indent)


def option(name: str, value: object, texts: list[str], indent: str) -> list[str]:
    """The lines for one option: its name, its value, what it is for, and, in parentheses, what it may be."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True).strip()
    start = f"{indent}{name}: {text.removesuffix('...').strip()}"
    may_be, meaning = texts
    if not meaning:
        return [start]
    first = f"{start} " if len(start) < COLUMN else f"{start}  "
    return textwrap.wrap(
        f"{meaning} ({may_be})", WIDTH, initial_indent=first.ljust(COLUMN), subsequent_indent=" " * COLUMN
    )
