"""Deep active-learning experiments: train, measure, choose what to label next, label it, train again."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
# What Python code may import from here, and where it is: most of it brings torch, which `import al_runner` does not.
PLACES = {
    "run": "al_runner.api.runs",
    "sweep": "al_runner.api.runs",
    "RunFolder": "al_runner.api.folder",
    "choose": "al_runner.api.choose",
    "load_net": "al_runner.api.nets",
    "UsageError": "al_runner.errors",
}


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module 'al_runner' has no attribute {name!r}")
    return getattr(import_module(PLACES[name]), name)
