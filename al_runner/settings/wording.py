"""What an option may be, in words, from its annotation."""

from collections.abc import Mapping, Sequence
from math import isfinite
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen

from al_runner.settings.command_line import in_quotes
from al_runner.settings.kinds import LARGEST, LARGEST_SEED, Reads

NOUNS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", NoneType: "null"}


class Alternative(NamedTuple):
    """One of the types that an option may have, with its metadata."""

    kind: Any
    metadata: tuple[Any, ...]


def alternatives(annotation: Any, metadata: tuple[Any, ...] = ()) -> list[Alternative]:
    """The types that an annotation allows, in its order."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        return alternatives(inner, (*metadata, *more))
    if origin in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in alternatives(part, metadata)]
    return [Alternative(annotation, metadata)]


def wanted(annotation: Any) -> str:
    """What an option may be: "a whole number, 1 or more, or null"."""
    return one_of([in_full(part) for part in alternatives(annotation)])


def refusal(name: str, value: object, annotation: Any) -> str:
    """One line that says what is wrong with the option's value, and what it must be."""
    allowed = alternatives(annotation)
    fitting = [part for part in allowed if of_kind(value, part.kind)]
    texts = []
    for part in allowed:
        bounds = range_of(part, value)
        texts.append(bounds if part in fitting and bounds else in_full(part, value))
    was = typed(value) if any(part.kind is str for part in allowed) else ""
    quotes = f"; {in_quotes(name, was)}" if was else ""
    return f"{name} is {shown(value)}; it must be {one_of(texts)}{quotes}"


def typed(value: object) -> str:
    """What was typed for a value that Hydra read as something else than text; empty if that can't be known."""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return f"[{','.join(value)}]"
    return shown(value) if isinstance(value, bool | int) else ""


def of_kind(value: object, kind: Any) -> bool:
    """Whether a value is a finite one of a plain type, so that only its range can be wrong."""
    if isinstance(value, float) and not isfinite(value):
        return False
    return type(value) is kind or (type(value) is int and kind is float)


def in_full(part: Alternative, value: object = None) -> str:
    """A type and its range."""
    for metadata in part.metadata:
        if isinstance(metadata, Reads):
            return metadata.text
    origin, arguments = get_origin(part.kind), get_args(part.kind)
    if origin is Literal:
        return one_of([shown(choice) if not isinstance(choice, str) else choice for choice in arguments])
    if origin in (Sequence, list, tuple):
        length = f" of {len(arguments)}" if origin is tuple and arguments[-1:] != (...,) else ""
        length = " of one or more" if any(isinstance(bound, MinLen) for bound in part.metadata) else length
        return f"a list{length}, each {wanted(arguments[0])}"
    if origin is Mapping:
        return "a mapping"
    noun = NOUNS.get(part.kind, "a part with a _target_")
    if isinstance(value, float) and not isfinite(value) and part.kind is float:
        noun = "a finite number"
    bounds = range_of(part, value)
    between = " " if bounds.startswith(("above", "below", "at most")) else ", "
    return f"{noun}{between}{bounds}" if bounds else noun


def range_of(part: Alternative, value: object = None) -> str:
    """The range of a type in words, empty if it has none; the largest count or seed only if `value` exceeds it."""
    low = high = ""
    for bound in part.metadata:
        if isinstance(bound, Ge):
            low = f"{bound.ge:,} or more"
        elif isinstance(bound, Gt):
            low = f"above {bound.gt:,}"
        elif isinstance(bound, Lt):
            high = f"below {bound.lt:,}"
        elif isinstance(bound, Le) and (bound.le not in (LARGEST, LARGEST_SEED) or exceeds(value, bound.le)):
            high = f"at most {bound.le:,}"
    return " and ".join(text for text in (low, high) if text)


def exceeds(value: object, limit: Any) -> bool:
    """Whether a value is a number above the limit."""
    return isinstance(value, int | float) and value > limit


def one_of(texts: Sequence[str]) -> str:
    """The texts with "or" before the last one."""
    if len(texts) < 2:
        return "".join(texts)
    comma = "," if len(texts) > 2 or any(mark in text for text in texts for mark in (",", " or ", " and ")) else ""
    return f"{', '.join(texts[:-1])}{comma} or {texts[-1]}"


def shown(value: object) -> str:
    """A value as YAML spells it, a word in quotes; of an object that only shows its address, its class."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if type(value).__repr__ is object.__repr__:
        return f"a {type(value).__name__}"
    return repr(value)
