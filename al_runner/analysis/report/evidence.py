"""What is known about the runs behind a comparison, and the result of a check."""

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from al_runner.analysis.stats.case import Case
from al_runner.errors import UsageError
from al_runner.system.foreign import FACTS, from_json

PASS, WARNING, UNKNOWN = "pass", "warning", "can't tell"


class Check(NamedTuple):
    """One line of the checklist."""

    name: str
    state: str  # PASS, WARNING or UNKNOWN
    finding: str
    source: str = ""


class Evidence(NamedTuple):
    """What is known about the runs besides their errors, by folder."""

    cases: Sequence[Case]
    configs: Mapping[str, Mapping[str, Any]]
    bought: Mapping[str, pd.DataFrame]
    provenance: Mapping[str, Sequence[Mapping[str, Any]]]
    missing: Sequence[str]  # a line for everything that is left out
    unlike: Sequence[str]  # a line for settings that differ between runs that are compared

    @property
    def folders(self) -> list[str]:
        """The folders of all runs that are compared."""
        return [folder for case in self.cases for folder in case.each["folder"]]

    def val_share(self, folder: str) -> float | None:
        """The share of its labels that a run sets aside for validation; None if it sets none aside, or if unknown."""
        share = part_of(self.configs.get(folder, {}), "budget").get("val_share")
        return float(share) if isinstance(share, int | float) and isfinite(share) else None

    def validated_on(self, case: Case) -> str:
        """A sentence that says what the trainings of a case were validated on; "" if no run has its configuration."""
        known = [folder for folder in case.each["folder"] if part_of(self.configs.get(folder, {}), "budget")]
        shares = {self.val_share(folder) for folder in known}
        paid = sorted(share for share in shares if share is not None)
        aside = [f"{share:g} of the labelled images (set aside, so the budget pays for them)" for share in paid]
        own = ["the data set's own validation images (which cost no labels)"] if None in shares else []
        return f"Validated on {' or on '.join([*aside, *own])}." if shares else ""


def provenance(folder: Path) -> list[dict[str, Any]]:
    """A run's provenance.json, one entry for each start; empty if it is missing. Raises UsageError if it is damaged."""
    file = folder / "provenance.json"
    try:
        starts = from_json(file, FACTS)
    except FileNotFoundError:
        return []
    if not isinstance(starts, list) or not all(isinstance(entry, dict) for entry in starts):
        raise UsageError(f"{file} is no list of a run's starts; restore it from a copy, or move it away")
    return starts


def part_of(config: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """The mapping inside a configuration that these names lead to; empty if there is none."""
    for name in names:
        inner = config.get(name)
        config = inner if isinstance(inner, Mapping) else {}
    return config
