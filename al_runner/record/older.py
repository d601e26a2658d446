"""Configurations that older versions recorded, in the words of this one: their runs go on."""

from collections.abc import Mapping
from typing import Any

# Options that came later, and what runs without them did; of a target, as it is recorded.
ADDED = {"al_runner.data.npz.npz": {"dataset.values": "uint8"}}


def renewed(config: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded configuration, by dotted names, as this version would have recorded it."""
    held = dict(config)
    if "budget.balanced" in held:
        held["budget.initial_by"] = "balanced" if held.pop("budget.balanced") else "random"
    return {**ADDED.get(str(held.get("dataset._target_")), {}), **held}
