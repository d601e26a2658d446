"""Modules that are called like functions."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """A module whose name is also that of a function in al_runner's own namespace.

    `from al_runner import run` finds the function, or, once somebody has imported the module al_runner.run, the module.
    """

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        place, name = self.__dict__["CALLED"]
        return getattr(import_module(place), name)(*arguments, **named)


def make_callable(module: str, place: str, name: str) -> None:
    """Let a call of `module` be one of the function `name` of the module `place`, which is imported then."""
    found = sys.modules[module]
    found.__dict__["CALLED"] = (place, name)
    found.__class__ = _Callable
