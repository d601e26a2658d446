"""Every option of every choice in conf/, as its declaration and its presets have it: what the help and the docs say."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast, get_type_hints

import hydra
from hydra._internal.utils import _locate
from omegaconf import DictConfig, OmegaConf

from al_runner.settings.check import parameters_of, taken_by
from al_runner.settings.declare import meaning
from al_runner.settings.groups import GROUPS, conf_dir
from al_runner.settings.own import Own
from al_runner.settings.wording import wanted

FILE = Path(__file__).with_name("declared.json")  # what al-run --help reads, which imports neither torch nor pydantic
LAUNCHER = "hydra/launcher"


@dataclass
class Part:
    """What one target takes at one place of the configuration, and what the presets say there."""

    path: str  # dotted
    target: str
    takes: Mapping[str, Any]  # annotations that the place declares for the target
    choices: dict[str, DictConfig] = field(default_factory=dict)  # of the group, by name

    @property
    def annotations(self) -> Mapping[str, Any]:
        """Of the declared options, in the order of the target's parameters."""
        held = {key for node in self.choices.values() for key in map(str, node)}
        takes = {name: kind for name, kind in self.takes.items() if name in held}
        own = {name: kind for name, kind in parameters_of(self.target).annotations.items() if meaning(kind)}
        return {**own, **takes}

    @property
    def summary(self) -> str:
        """The first sentence of what the target does; of other people's code, its name."""
        made = _locate(self.target)
        text = inspect.getdoc(made) if self.target.startswith(("al_runner.", "hydra_plugins.al_runner")) else None
        return " ".join(text.partition("\n\n")[0].split()) if text else f"`{self.target}`."


@cache
def parts() -> tuple[Part, ...]:
    """All of them, in the order of the groups; al-run's own options aside."""
    found: dict[tuple[str, str], Part] = {}
    for group in (*GROUPS, LAUNCHER):
        for file in sorted((conf_dir() / group).glob("*.yaml")):
            if group == "experiment":
                continue
            for path, node, takes in nodes(composed(group, file.stem), group.replace("/", ".")):
                part = Part(path, str(node["_target_"]), takes)
                found.setdefault((path, part.target), part).choices[file.stem] = node
    return (*found.values(),)


def composed(group: str, choice: str) -> DictConfig:
    """The configuration of a choice."""
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = hydra.compose("config", [f"{group}={choice}"], return_hydra_config=True)
    return cast(DictConfig, config.hydra.launcher if group == LAUNCHER else config[group])


def nodes(
    node: DictConfig, path: str, takes: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, DictConfig, Mapping[str, Any]]]:
    """Everything below `node` that is built by a `_target_`, with its place and what that declares for it."""
    annotations: Mapping[str, Any] = {}
    if "_target_" in node:
        annotations = parameters_of(str(node["_target_"])).annotations
        yield path, node, takes or {}
    for key in map(str, node):
        if OmegaConf.is_interpolation(node, key) or OmegaConf.is_missing(node, key):
            continue
        if isinstance(node[key], DictConfig):
            yield from nodes(node[key], f"{path}.{key}", taken_by(annotations.get(key)))


def declarations() -> dict[str, dict[str, Any]]:
    """What may be said of every option, by the place and target of its part; al-run's own have neither."""
    own = get_type_hints(Own, include_extras=True)
    found = {"": {name: describe(kind) for name, kind in own.items()}}
    for part in parts():
        described = {name: describe(kind) for name, kind in part.annotations.items()}
        if described:
            found.setdefault(part.target, {}).update(described)
    return dict(sorted(found.items()))


def describe(annotation: Any) -> list[str]:
    """What an option may be, and what it is for."""
    return [wanted(annotation), meaning(annotation)]


def defaults_of(target: str) -> Mapping[str, Any]:
    """The values of parameters that a call leaves out."""
    parameters = inspect.signature(cast(Callable[..., Any], _locate(target))).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not one.empty}


def as_json() -> str:
    """The contents of FILE."""
    return json.dumps(declarations(), indent=1, ensure_ascii=False) + "\n"
