"""Every option of every choice in conf/, from its declaration and its presets; the help and the docs show it."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast, get_type_hints

import hydra
from hydra._internal.utils import _locate
from omegaconf import DictConfig, OmegaConf

from al_runner.settings.check import parameters_of, taken_by
from al_runner.settings.declare import meaning
from al_runner.settings.declared import PLACES, Declaration, as_yaml
from al_runner.settings.groups import GROUPS, conf_dir
from al_runner.settings.own import Own
from al_runner.settings.wording import wanted

LAUNCHER = "hydra/launcher"


@dataclass
class Part:
    """The options of one target at one place of the configuration, and their values in the presets."""

    path: str  # dotted
    target: str
    takes: Mapping[str, Any]  # annotations that the place declares for the target
    choices: dict[str, DictConfig] = field(default_factory=dict)  # of the group, by name

    @property
    def annotations(self) -> Mapping[str, Any]:
        """The annotations of the declared options, in the order of the target's parameters."""
        target = parameters_of(self.target)
        takes = {name: kind for name, kind in self.takes.items() if target.names is None or name in target.names}
        own = {name: kind for name, kind in target.annotations.items() if meaning(kind)}
        return {**own, **takes}

    @property
    def summary(self) -> str:
        """The first paragraph of the target's docstring; if the target is not ours, its name."""
        made = _locate(self.target)
        text = inspect.getdoc(made) if self.target.startswith(("al_runner.", "hydra_plugins.al_runner")) else None
        return " ".join(text.partition("\n\n")[0].split()) if text else f"`{self.target}`."


@cache
def parts() -> tuple[Part, ...]:
    """All parts, in the order of the groups, without al-run's own options."""
    by_place: dict[tuple[str, str], Part] = {}
    for group in (*GROUPS, LAUNCHER):
        for file in sorted((conf_dir() / group).glob("*.yaml")):
            if group == "experiment":
                continue
            for path, node, takes in nodes(composed(group, file.stem), group.replace("/", ".")):
                part = Part(path, str(node["_target_"]), takes)
                by_place.setdefault((path, part.target), part).choices[file.stem] = node
    return (*by_place.values(),)


def composed(group: str, choice: str) -> DictConfig:
    """The configuration of a choice."""
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = hydra.compose("config", [f"{group}={choice}"], return_hydra_config=True)
    return cast(DictConfig, config.hydra.launcher if group == LAUNCHER else config[group])


def nodes(
    node: DictConfig, path: str, takes: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, DictConfig, Mapping[str, Any]]]:
    """The place of every node at or below `node` with a `_target_`, the node, and the options declared for it there."""
    annotations: Mapping[str, Any] = {}
    if "_target_" in node:
        annotations = parameters_of(str(node["_target_"])).annotations
        yield path, node, takes or {}
    for key in map(str, node):
        if OmegaConf.is_interpolation(node, key) or OmegaConf.is_missing(node, key):
            continue
        if isinstance(node[key], DictConfig):
            yield from nodes(node[key], f"{path}.{key}", taken_by(annotations.get(key)))


def declarations() -> dict[str, dict[str, Declaration]]:
    """Every option by its target, "" for al-run's own options."""
    own = get_type_hints(Own, include_extras=True)
    by_target = {"": {name: Declaration(*describe(kind)) for name, kind in own.items()}}
    for part in parts():
        of_target = by_target.setdefault(part.target, {})
        defaults = defaults_of(part.target) if part.path in PLACES else {}
        for name, kind in part.annotations.items():
            left = name in defaults and any(name not in node for node in part.choices.values())
            if left or name not in of_target:
                of_target[name] = Declaration(*describe(kind), as_yaml(defaults[name]) if left else None)
    return dict(sorted(by_target.items()))


def describe(annotation: Any) -> tuple[str, str]:
    """What an option may be, and what it is for."""
    return wanted(annotation), meaning(annotation)


def defaults_of(target: str) -> Mapping[str, Any]:
    """The default values of a target's parameters."""
    parameters = inspect.signature(cast(Callable[..., Any], _locate(target))).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not one.empty}


def as_json() -> str:
    """The contents of declared.json."""
    texts = {
        target: {name: [text for text in of if text is not None] for name, of in options.items()}
        for target, options in declarations().items()
    }
    return json.dumps(texts, indent=1, ensure_ascii=False) + "\n"
