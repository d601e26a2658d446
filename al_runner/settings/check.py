"""Compares the options of a configuration with the declarations of their targets, before anything is built."""

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
from al_runner.settings.groups import GROUPS, OPTIONAL, made_of_choices, no_option
from al_runner.settings.kinds import Takes
from al_runner.settings.own import Own
from al_runner.settings.wording import alternatives

PLAIN = {bool, int, float, NoneType}
OWN_FILE = "a file of your own needs a line _target_: MODULE.NAME"
HYDRAS = {"_target_", "_partial_", "_args_", "_recursive_", "_convert_"}


class Parameters(NamedTuple):
    """What a `_target_` takes."""

    annotations: Mapping[str, Any]
    names: frozenset[str] | None  # None: any


def require_options(cfg: DictConfig) -> None:
    """Raises UsageError for the first option of `cfg` that no target takes, or whose value its target refuses.

    An option without a declaration is checked only if its annotation has no types but bool, int, float and None.
    """
    own = get_type_hints(Own, include_extras=True)
    for name in map(str, cfg):
        if name not in own and name not in GROUPS and name != "run":
            raise UsageError(no_option(name, (*own, *GROUPS)))
    for name, annotation in own.items():
        accepted(name, cfg[name], annotation)
    for key in cfg.run:
        if not OmegaConf.is_interpolation(cfg.run, str(key)):
            raise UsageError(made_of_choices(f"run.{key}"))
    for group in GROUPS:
        require_choice(group, cfg.get(group))
    for name, value, annotation in options_below(cfg, "", {}):
        accepted(name, value, annotation)


def require_choice(group: str, node: object) -> None:
    """Raises UsageError if a group that every run needs has no choice, or if a group has options but no choice."""
    if isinstance(node, DictConfig) and "_target_" in node:
        return
    own = f"; {OWN_FILE}" if isinstance(node, DictConfig) else ""
    if group not in OPTIONAL:
        raise UsageError(f"this run has no {group}; choose one with {group}=... (al-run --help lists them){own}")
    if isinstance(node, DictConfig):
        raise UsageError(
            f"{group} has options, {', '.join(map(str, node))}, but no choice; choose one with {group}=...; {OWN_FILE}"
        )


def options_below(node: DictConfig | ListConfig, path: str, given: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Dotted name, value and annotation of every option below `node`; `given` annotations replace the target's own.

    Raises UsageError for an option that its node's target does not take.
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
            known = [taken for taken in annotations if taken in parameters.names and meaning(annotations[taken])]
            raise UsageError(no_option(name, known or sorted(parameters.names)))
        if OmegaConf.is_missing(node, key):
            raise UsageError(f"{name} is not set; give it a value with {name}=...")
        elsewhere, value = OmegaConf.is_interpolation(node, key), node[key]
        if isinstance(value, DictConfig | ListConfig) and (builds(value) or key not in annotations):
            if not elsewhere:  # an interpolated part is checked where it is defined
                yield from options_below(value, name, taken_by(annotations.get(key)))
        elif key in annotations and (meaning(annotations[key]) or is_plain(annotations[key])):
            container = isinstance(value, DictConfig | ListConfig)
            yield name, OmegaConf.to_container(value, resolve=True) if container else value, annotations[key]


def builds(node: DictConfig | ListConfig) -> bool:
    """Whether the node, or a node below it, has a `_target_`."""
    if isinstance(node, DictConfig) and "_target_" in node:
        return True
    keys: list[Any] = [*node] if isinstance(node, DictConfig) else [*range(len(node))]
    parts = [node[key] for key in keys if not OmegaConf.is_missing(node, key)]
    return any(builds(part) for part in parts if isinstance(part, DictConfig | ListConfig))


def is_plain(annotation: Any) -> bool:
    """Whether all types of an annotation are plain ones."""
    return {part.kind for part in alternatives(annotation)} <= PLAIN


def taken_by(annotation: Any) -> Mapping[str, Any]:
    """The options that an annotation declares for the target that is built there (`Takes`); empty if none."""
    marks = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return next((get_type_hints(mark.options, include_extras=True) for mark in marks if isinstance(mark, Takes)), {})


@lru_cache(maxsize=256)
def parameters_of(target: str) -> Parameters:
    """The parameters of `target`, a dotted path; none are known if it can't be imported: building it then fails."""
    annotations: Mapping[str, Any] = {}
    names: frozenset[str] | None = None
    with suppress(Exception):
        made = cast(Callable[..., Any], _locate(target))
        parameters = inspect.signature(made).parameters.values()
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            names = frozenset(parameter.name for parameter in parameters)
        annotations = annotations_of(made)
    return Parameters(annotations, names)
