"""Options of the types that what they are for declares: `no` is a word, 2.5 no number of checks."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pydoc import locate
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, ListConfig, OmegaConf

from al_runner.errors import UsageError

WANTED = {bool: "true or false", int: "a whole number", float: "a number", NoneType: "null"}
OWN = {"seed": int, "threads": int, "overwrite": bool, "recover": bool, "deterministic": bool}  # of conf/config.yaml


def require_types(cfg: DictConfig) -> None:
    """UsageError where an option is a word or a number that its function or dataclass does not declare.

    Options that are declared as anything but bool, int, float and None are left to what they are for.
    """
    for name, annotation in OWN.items():
        require_type(name, cfg[name], annotation)
    for name, value, annotation in declared(cfg, ""):
        require_type(name, value, annotation)


def declared(node: DictConfig | ListConfig, path: str) -> Iterator[tuple[str, object, Any]]:
    """Every option below `node` with its dotted name and the annotation of the parameter it is given to."""
    keys: list[Any] = [*node] if isinstance(node, DictConfig) else [*range(len(node))]
    annotations = annotations_of(node.get("_target_")) if isinstance(node, DictConfig) else {}
    for key in keys:
        name = f"{path}.{key}" if path else str(key)
        given_there = OmegaConf.is_interpolation(node, key)
        value = node[key]
        if isinstance(value, DictConfig | ListConfig):
            if not given_there:  # else it is named where it is
                yield from declared(value, name)
        elif key in annotations:
            yield name, value, annotations[key]


def annotations_of(target: object) -> Mapping[str, Any]:
    """Of the parameters of what `target` names, a dotted path; none where that can't be told."""
    found: Mapping[str, Any] = {}
    with suppress(Exception):  # whatever is wrong with it, None among it, is said where it is built
        made = cast(Callable[..., Any], locate(str(target)))
        found = get_type_hints(vars(made).get("__init__", made) if isinstance(made, type) else made)
    return found


def require_type(name: str, value: object, annotation: Any) -> None:
    """UsageError where `value` is of none of the types that `annotation` unites, all of them plain."""
    types = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    if not set(types) <= set(WANTED):
        return
    fits = type(value) in types or (type(value) is int and float in types)
    if not fits:
        wanted = " or ".join(text for kind, text in WANTED.items() if kind in types)
        raise UsageError(f"{name} is {value!r}; it must be {wanted}")
