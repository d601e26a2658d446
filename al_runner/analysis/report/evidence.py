"""What is known of the runs behind a comparison, and the form of a check of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from al_runner.analysis.stats.case import Case
from al_runner.errors import UsageError
from al_runner.system.foreign import FACTS, from_json

PASS, WARNING, UNKNOWN = "pass", "warning", "can't tell"


class Check(NamedTuple):
    """One line of the list."""

    name: str
    state: str  # PASS, WARNING or UNKNOWN
    finding: str
    source: str = ""


class Evidence(NamedTuple):
    """What is known of the runs beyond their errors, by folder."""

    cases: Sequence[Case]
    configs: Mapping[str, Mapping[str, Any]]
    bought: Mapping[str, pd.DataFrame]
    provenance: Mapping[str, Sequence[Mapping[str, Any]]]


def provenance(folder: Path) -> list[dict[str, Any]]:
    """A run's provenance.json, one entry a start; none where it is missing. UsageError where it is damaged."""
    file = folder / "provenance.json"
    try:
        held = from_json(file, FACTS)
    except FileNotFoundError:
        return []
    if not isinstance(held, list) or not all(isinstance(entry, dict) for entry in held):
        raise UsageError(f"{file} is no list of a run's starts; restore it from a copy, or move it away")
    return held


def part_of(config: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """A mapping inside a configuration; an empty one where there is none."""
    for name in names:
        held = config.get(name)
        config = held if isinstance(held, Mapping) else {}
    return config
