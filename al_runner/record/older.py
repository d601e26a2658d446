"""Configurations that older versions recorded, in the words of this one: their runs go on."""

from collections.abc import Mapping
from typing import Any

# Options that came later, with the value that stands for what a run without them did, by the recorded target.
ADDED = {"al_runner.data.npz.npz": {"dataset.values": "uint8"}}
MOVED = {"al_runner.types.Recipe": "al_runner.training.Recipe"}  # classes by the modules that they were in


def renewed(config: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded configuration, by dotted names, as this version would have recorded it."""
    held = {name: MOVED.get(value, value) if isinstance(value, str) else value for name, value in config.items()}
    if "budget.balanced" in held:
        held["budget.initial_by"] = "balanced" if held.pop("budget.balanced") else "random"
    return {**ADDED.get(str(held.get("dataset._target_")), {}), **held}
