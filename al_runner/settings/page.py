"""docs/settings.md: every option, what it may be, what the presets say and what it is for."""

from collections.abc import Mapping
from typing import Any, cast, get_type_hints

import yaml
from omegaconf import DictConfig, OmegaConf

from al_runner.settings.catalogue import Part, defaults_of, describe, parts
from al_runner.settings.declared import as_yaml
from al_runner.settings.groups import conf_dir
from al_runner.settings.own import Own

HEAD = """# Settings

Every option of al-run: what it may be, its value in the presets of `conf/`, and what it is for. An option is set on the
command line as `budget.query=40`. Written by `python scripts/settings.py` from the declarations in the code.

`null` means "nothing": no limit, no choice, or a value that al-run finds itself. Where it is not plain, the last column
says which. `_target_` names the class or function that makes a part of the configuration, such as a strategy or a net.
"""
TABLE = "| option | value | may be | what it is for |\n|---|---|---|---|\n"


def page() -> str:
    """The whole page."""
    all_parts = parts()
    listed = {part.target: part.path for part in all_parts if "." not in part.path}
    text, group = HEAD + own_section(), ""
    for part in all_parts:
        top = part.path.startswith("hydra.") or "." not in part.path
        if part.path.partition(".")[0] != group:
            group = part.path.partition(".")[0]
            text += f"\n## {'hydra.launcher' if group == 'hydra' else group}\n"
        if part.annotations and (top or part.target not in listed):
            text += section(part, listed)
    return text


def own_section() -> str:
    """The options at the top of conf/config.yaml."""
    config = yaml.safe_load((conf_dir() / "config.yaml").read_text(encoding="utf-8"))
    rows = [row(name, code(config[name]), kind) for name, kind in get_type_hints(Own, include_extras=True).items()]
    return "\n## al-run's own\n\n" + TABLE + "".join(rows)


def section(part: Part, listed: Mapping[str, str]) -> str:
    """A table of what one target takes."""
    names = ", ".join(f"`{name}`" for name in part.choices)
    heading = f"\n### {part.path}: {names}\n\n{part.summary}\n\n"
    defaults = defaults_of(part.target)
    rows = []
    for name, kind in part.annotations.items():
        rows.append(row(f"{part.path}.{name}", values(part, name, defaults, listed), kind))
    return heading + TABLE + "".join(rows)


def row(name: str, value: str, annotation: Any) -> str:
    """One option."""
    may_be, purpose = describe(annotation)
    cells = [f"`{name}`", value, may_be.replace("_target_", "`_target_`"), purpose]
    escaped = " | ".join(cell.replace("|", r"\|") for cell in cells)
    return f"| {escaped} |\n"


def values(part: Part, name: str, defaults: Mapping[str, Any], listed: Mapping[str, str]) -> str:
    """The values in the presets: the most common first, then the others with the names of their presets."""
    choices_by_text: dict[str, list[str]] = {}
    for choice, node in part.choices.items():
        choices_by_text.setdefault(value_of(node, name, defaults, listed), []).append(choice)
    common, *others = sorted(choices_by_text, key=lambda text: -len(choices_by_text[text]))
    return "; ".join([common, *(f"{text} ({', '.join(choices_by_text[text])})" for text in others)])


def value_of(node: DictConfig, name: str, defaults: Mapping[str, Any], listed: Mapping[str, str]) -> str:
    """The value in a preset, or the default if the preset has none."""
    if name not in node:
        return code(defaults.get(name))
    if OmegaConf.is_missing(node, name):
        return "to be set"
    raw = cast(dict[str, Any], OmegaConf.to_container(node, resolve=False))[name]
    if isinstance(raw, dict) and "_target_" in raw:
        see = f", see [{listed[raw['_target_']]}](#{listed[raw['_target_']]})" if raw["_target_"] in listed else ""
        return f"`{raw['_target_'].rpartition('.')[2]}`{see}"
    return code(raw)


def code(value: object) -> str:
    """A value as YAML, in Markdown."""
    return f"`{as_yaml(value)}`"
