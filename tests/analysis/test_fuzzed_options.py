"""Strange command lines of the tools that read results: each is carried out or refused, without a traceback."""

import os
import random
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

import pytest
from analysis.test_hostile_folders import TOOLS, carried_out, results
from faults import times
from test_fuzzed_commands import VALUES

from al_runner.analysis import cli, cli_compare, cli_report
from al_runner.sweeps import status

PARSERS: dict[str, ArgumentParser] = {
    "al-status": status._parser(),
    "al-plot": cli._parser(),
    "al-compare": cli_compare._parser(),
    "al-report": cli_report._parser(),
}
SOUND = (
    "random",
    "entropy",
    "random,entropy",
    "dataset",
    "model,learner",
    "t",
    "3.25in",
    "8",
    "24",
    "50",
    "svg",
    "none",
)
ONCE = ([".", "--across=--"], [".", "--facet=--"], ["9" * 400], ["9" * 400, "--across=--"])  # some ended in a traceback
WRITTEN = {"plots", "compare", "report.html"}  # what the tools write into the folder that they read


def options_of(tool: str) -> dict[str, bool]:
    """The tool's options, and whether each takes a value. Files may be written where --out says, so it is left out."""
    actions = [action for action in PARSERS[tool]._actions if action.option_strings]
    return {action.option_strings[-1]: action.nargs != 0 for action in actions if "--out" not in action.option_strings}


def command_line(rng: random.Random, tool: str, root: Path) -> list[str]:
    """One to four options, half of their values strange; one in ten folders is strange, too."""
    words = [rng.choice(VALUES) if rng.random() < 0.1 else str(root)]
    for _ in range(rng.randint(1, 4)):
        name, takes_value = rng.choice([*options_of(tool).items()])
        value = rng.choice(VALUES if rng.random() < 0.5 else SOUND)
        words.append(f"{name}={value}" if takes_value or rng.random() < 0.05 else name)
    return words


def test_no_options_end_in_a_traceback_or_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    root, here, outside = (tmp_path / name for name in ("results", "here", "outside"))
    for folder in (root, here, outside):
        folder.mkdir()
    results(root)
    monkeypatch.chdir(here)
    runs = {file: file.read_bytes() for file in root.rglob("*.*") if file.is_file()}
    rng = random.Random(int(os.environ.get("AL_SEED", "0")))
    codes, faults = dict[int, int](), list[str]()
    drawn = ((tool, command_line(rng, tool, root)) for _ in range(times(3, 125)) for tool in TOOLS)
    lines = [
        *((tool, [str(root) if word == "." else word for word in words]) for words in ONCE for tool in TOOLS),
        *drawn,
    ]
    tried, log = len(lines), tmp_path / "log"
    for tool, words in lines:
        code = carried_out(tool, words, log, outside)
        said = log.read_text(errors="replace")
        log.unlink()
        codes[code] = codes.get(code, 0) + 1
        if code not in (0, 1, 2) or "Traceback" in said or "\x1b" in said:
            faults.append(f"{tool} {words!r} ended with {code}: {said[-600:]}")
        if {file.name for file in tmp_path.iterdir()} != {"results", "here", "outside"} or [*here.iterdir()]:
            faults.append(f"{tool} {words!r} left {sorted(tmp_path.rglob('*'))}")
    assert not faults, "\n\n".join(faults)
    assert not [*outside.iterdir()]
    assert {file: file.read_bytes() for file in runs} == runs
    assert {entry.name for entry in root.iterdir()} <= {*WRITTEN, *(file.relative_to(root).parts[0] for file in runs)}
    record_property("random options of the reading tools", f"{tried} tried, {tried} survived; exit codes {codes}")
