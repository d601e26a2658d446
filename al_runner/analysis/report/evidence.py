"""What is known of the runs behind a comparison, and the form of a check of it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from al_runner.analysis.stats.case import Case

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
    """A run's provenance.json, one entry a start; none where it is missing or damaged."""
    try:
        held = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [entry for entry in held if isinstance(entry, dict)] if isinstance(held, list) else []
