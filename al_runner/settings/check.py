"""The options of a configuration, held against what their functions and classes declare, before any is built."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from types import NoneType
from typing import Annotated, Any, NamedTuple, cast, get_args, get_origin, get_type_hints

from hydra._internal.utils import _locate
from omegaconf import DictConfig, ListConfig, OmegaConf

from al_runner.errors import UsageError
from al_runner.settings.declare import accepted, annotations_of, meaning
from al_runner.settings.groups import GROUPS, OPTIONAL, no_option
from al_runner.settings.kinds import Takes
from al_runner.settings.own import Own
from al_runner.settings.wording import alternatives

PLAIN = {bool, int, float, NoneType}
HYDRAS = {"_target_", "_partial_", "_args_", "_recursive_", "_convert_"}


class Parameters(NamedTuple):
    """What a `_target_` takes."""

    annotations: Mapping[str, Any]
    names: frozenset[str] | None  # None: any


def require_options(cfg: DictConfig) -> None:
    """UsageError for the first option of `cfg` that nobody reads, or whose value its function or class refuses.

    Options without a declaration are checked where they are annotated as bool, int, float or None alone.
    """
    own = get_type_hints(Own, include_extras=True)
    for name in map(str, cfg):
        if name not in own and name not in GROUPS and name != "run":
            raise UsageError(no_option(name, (*own, *GROUPS)))
    for name, annotation in own.items():
        accepted(name, cfg[name], annotation)
    for key in cfg.run:
        if not OmegaConf.is_interpolation(cfg.run, str(key)):
            raise UsageError(
                f"run.{key} is set, but it is made of the run's own choices; tell runs apart with name=..."
            )
    for group in GROUPS:
        require_choice(group, cfg.get(group))
    for name, value, annotation in options_below(cfg, "", {}):
        accepted(name, value, annotation)


def require_choice(group: str, node: object) -> None:
    """UsageError where a group that every run needs has no choice, or another one has options without a choice."""
    if isinstance(node, DictConfig) and "_target_" in node:
        return
    if group not in OPTIONAL:
        raise UsageError(f"this run has no {group}; choose one with {group}=... (al-run --help lists them)")
    if isinstance(node, DictConfig):
        raise UsageError(
            f"{group} has options, {', '.join(map(str, node))}, but no choice; choose one with {group}=..."
        )


def options_below(node: DictConfig | ListConfig, path: str, given: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Every option below `node` as its dotted name, its value and its annotation; `given` come before the target's own.

    UsageError for one that the target of its node does not take.
    """
    keys: list[Any] = [*node] if isinstance(node, DictConfig) else [*range(len(node))]
    parameters = Parameters({}, None)
    if isinstance(node, DictConfig) and "_target_" in node:
        parameters = parameters_of(str(node["_target_"]))
    annotations = {**parameters.annotations, **given}
    for key in keys:
        name = f"{path}.{key}" if path else str(key)
        if key in HYDRAS:
            continue
        if parameters.names is not None and key not in parameters.names:
            told = [taken for taken in annotations if taken in parameters.names and meaning(annotations[taken])]
            raise UsageError(no_option(name, told or sorted(parameters.names)))
        if OmegaConf.is_missing(node, key):
            raise UsageError(f"{name} is not set; give it a value with {name}=...")
        elsewhere, value = OmegaConf.is_interpolation(node, key), node[key]
        if isinstance(value, DictConfig | ListConfig) and (builds(value) or key not in annotations):
            if not elsewhere:  # else it is named where it stands
                yield from options_below(value, name, taken_by(annotations.get(key)))
        elif key in annotations and (meaning(annotations[key]) or is_plain(annotations[key])):
            container = isinstance(value, DictConfig | ListConfig)
            yield name, OmegaConf.to_container(value, resolve=True) if container else value, annotations[key]


def builds(node: DictConfig | ListConfig) -> bool:
    """Whether something in it is built by a `_target_`."""
    if isinstance(node, DictConfig) and "_target_" in node:
        return True
    keys: list[Any] = [*node] if isinstance(node, DictConfig) else [*range(len(node))]
    parts = [node[key] for key in keys if not OmegaConf.is_missing(node, key)]
    return any(builds(part) for part in parts if isinstance(part, DictConfig | ListConfig))


def is_plain(annotation: Any) -> bool:
    """Whether all types that an annotation unites are plain."""
    return {part.kind for part in alternatives(annotation)} <= PLAIN


def taken_by(annotation: Any) -> Mapping[str, Any]:
    """The options that an annotation declares for what is built there."""
    found = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return next((get_type_hints(part.options, include_extras=True) for part in found if isinstance(part, Takes)), {})


@lru_cache(maxsize=256)
def parameters_of(target: str) -> Parameters:
    """What `target`, a dotted path, takes; nothing is known of what can't be found, which is said where it is built."""
    annotations: Mapping[str, Any] = {}
    names: frozenset[str] | None = None
    with suppress(Exception):
        made = cast(Callable[..., Any], _locate(target))
        parameters = inspect.signature(made).parameters.values()
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            names = frozenset(parameter.name for parameter in parameters)
        annotations = annotations_of(made)
    return Parameters(annotations, names)
