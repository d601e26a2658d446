"""Translates configurations that older versions recorded, so that this version can continue their runs."""

from collections.abc import Mapping
from typing import Any

# Options that were added later, by the target that has them. Each value is what a run did before the option existed.
ADDED = {"al_runner.data.npz.npz": {"dataset.values": "uint8"}}
MOVED = {"al_runner.types.Recipe": "al_runner.training.Recipe"}  # old and new names of classes that were moved


def renewed(config: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded configuration, by dotted names, as this version would have recorded it."""
    options = {name: MOVED.get(value, value) if isinstance(value, str) else value for name, value in config.items()}
    if "budget.balanced" in options:
        options["budget.initial_by"] = "balanced" if options.pop("budget.balanced") else "random"
    return {**ADDED.get(str(options.get("dataset._target_")), {}), **options}
