"""Declares the parameters of functions and classes as options: every call with a wrong value raises UsageError."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from numbers import Integral, Real
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from al_runner.errors import UsageError
from al_runner.settings.kinds import Means
from al_runner.settings.wording import refusal

if TYPE_CHECKING:
    from pydantic import TypeAdapter  # imported late: launchers declare options, and al-run --help loads launchers

Made = TypeVar("Made", bound=Callable[..., Any])


def options(group: str) -> Callable[[Made], Made]:
    """Check every declared parameter (`Means`) of a function or a class when it is called.

    Raises UsageError, which names a wrong value as an option of `group`. A dataclass's fields are its parameters.
    """

    def decorate(made: Made) -> Made:
        if not isinstance(made, type):
            return checking(made, group)
        setattr(made, "__init__", checking(vars(made)["__init__"], group))  # noqa: B010 - mypy forbids the assignment
        return made

    return decorate


def checking(function: Made, group: str) -> Made:
    """The function with a check of its declared arguments before every call."""
    signature, kinds = inspect.signature(function), cache(lambda: declared(function))

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        for name in bound.arguments.keys() & kinds().keys():
            bound.arguments[name] = accepted(f"{group}.{name}", bound.arguments[name], kinds()[name])
        return function(*bound.args, **bound.kwargs)

    return call  # type: ignore[return-value]  # it has the same signature, which the type of `wraps` does not say


def accepted(name: str, value: object, annotation: Any) -> Any:
    """The value as its function gets it; a whole number becomes a float if needed. Raises UsageError if it is wrong."""
    try:
        return adapter(annotation).validate_python(plain(value))
    except ValueError:  # pydantic's is one
        raise UsageError(refusal(name, plain(value), annotation)) from None


def plain(value: object) -> object:
    """A sequence or a number of any class, such as a configuration's or numpy's, as Python's own list or number.

    Any other value is not changed.
    """
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | tuple):
        return [plain(part) for part in value]
    if isinstance(value, Integral):
        return value if isinstance(value, bool) else int(value)
    return float(value) if isinstance(value, Real) else value


@cache
def adapter(annotation: Any) -> "TypeAdapter[Any]":
    """Pydantic's strict validator of an annotation: no word becomes a number, and no number becomes true or false."""
    from pydantic import PydanticUserError, TypeAdapter  # noqa: PLC0415 - see above

    try:
        return TypeAdapter(annotation, config={"strict": True, "arbitrary_types_allowed": True, "allow_inf_nan": False})
    except PydanticUserError:  # a dataclass has its own configuration
        return TypeAdapter(annotation)


def declared(made: Callable[..., Any]) -> Mapping[str, Any]:
    """The annotations of the parameters that have a meaning, by name."""
    return {name: annotation for name, annotation in annotations_of(made).items() if meaning(annotation)}


def annotations_of(made: Callable[..., Any]) -> Mapping[str, Any]:
    """The annotations, with their metadata, of all parameters of a function or class."""
    function: Callable[..., Any] = vars(made).get("__init__", object) if isinstance(made, type) else made
    return get_type_hints(function, include_extras=True)


def meaning(annotation: Any) -> str:
    """The sentence of an option; empty if it has none."""
    if get_origin(annotation) is not Annotated:
        return ""
    return next((part.text for part in get_args(annotation)[1:] if isinstance(part, Means)), "")
