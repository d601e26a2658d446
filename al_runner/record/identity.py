"""Whether a run that is asked for is the run that a folder holds."""

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from al_runner.errors import UsageError
from al_runner.record.flat import flat
from al_runner.record.journal import Begun
from al_runner.record.older import renewed
from al_runner.record.run_id import UPPER_LINE
from al_runner.settings.declared import complete

ANEW = "give this one name=..., or start anew with overwrite=true"
# These decide only when a run ends. They may change if the purchases made so far stay the same.
ENDS = ("budget.max_labelled", "budget.max_fraction", "budget.max_rounds", "stopping.obey")
# A run is tied to its data by their fingerprint, so the folder of the data may change, and so may a file of labels.
# The strategy's code says whether it is an upper line, and older versions did not record it.
MAY_DIFFER = (*ENDS, "dataset.path", "oracle.labels", f"run.{UPPER_LINE}")


def require_settings(folder: Path, begun: Begun, config: Mapping[str, Any]) -> None:
    """Raises UsageError unless `config` is that of the run that `begun` records, or of a longer one."""
    recorded, asked = (all_settings(settings) for settings in (begun.config, plain(config)))
    changed = [key for key in sorted({*recorded, *asked} - {*MAY_DIFFER}) if recorded.get(key) != asked.get(key)]
    if changed:
        shown = "; ".join(f"{key}: {recorded.get(key)} there, {asked.get(key)} asked" for key in changed[:5])
        more = f"; and {len(changed) - 5} more" if len(changed) > 5 else ""
        raise UsageError(f"{folder} holds a run of another configuration ({shown}{more}); {ANEW}")


def all_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a configuration by dotted names: under today's names, with those that it leaves at a default."""
    return complete(renewed(flat(config)))


def require_plan(folder: Path, begun: Begun, made: Sequence[int], plan: Sequence[int], data: Sequence[str]) -> None:
    """Raises UsageError unless a run with these purchases and data can continue the one that `begun` records.

    `made` holds the sizes of the purchases so far, and `plan` those of all purchases. `plan` must begin with `made`.
    `data` are the fingerprints of the data as this version and older ones make it.
    """
    if list(made) != list(plan[: len(made)]):
        planned = plan[len(made) - 1] if len(made) <= len(plan) else 0
        cut = list(made[:-1]) == list(plan[: len(made) - 1]) and made[-1] < planned
        why = f" (its budget cut the last one from {planned} to {made[-1]})" if cut else ""
        raise UsageError(
            f"{folder} holds purchases of {sizes(made)} labels, but {sizes(plan)} are asked for: a run can make more "
            f"purchases, but those it has made must stay the same{why}; {ANEW}"
        )
    if begun.start["data"] not in data:
        raise UsageError(f"{folder} holds a run on other images or labels; restore them, {ANEW}")


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as it is read back from the journal."""
    read_back: dict[str, Any] = json.loads(json.dumps(dict(config), default=str))
    return read_back


def sizes(plan: Sequence[int]) -> str:
    """[8, 20, 20, 20] -> "8, 3 times 20"."""
    groups = ((size, len(list(same))) for size, same in groupby(plan))
    return ", ".join(f"{times} times {size}" if times > 1 else str(size) for size, times in groups)
