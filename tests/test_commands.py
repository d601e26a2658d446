"""The commands that scripts, pages and presets give can be given: every option and every choice in them exists."""

import os
import re
import shlex
import subprocess
from importlib import import_module
from pathlib import Path

import pytest
from loaded_scripts import SCRIPTS
from pages import REPOSITORY

from al_runner.api.compose import composed, jobs_of
from al_runner.settings.check import require_options
from al_runner.settings.command_line import hydras_words
from al_runner.settings.groups import conf_dir

PARSERS = {"al-plot": "cli", "al-compare": "cli_compare", "al-report": "cli_report"}
SWEEPS = sorted(file.name for file in SCRIPTS.glob("*.sh") if "al-run -m" in file.read_text())
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")), *sorted(conf_dir().rglob("*.yaml"))]
# Notes its arguments, one a line, and the end of the call by a line that holds a tab.
STAND_IN = '#!/bin/sh\nprintf "%s\\n" "${0##*/}" "$@" >>"$CALLS"; printf "\\t\\n" >>"$CALLS"\n'


def calls(name: str, folder: Path) -> list[list[str]]:
    """What the script calls, each with its arguments; nothing is carried out."""
    tools, noted = folder / "tools", folder / "calls.txt"
    tools.mkdir()
    for tool in ("al-run", "python", *PARSERS):
        (tools / tool).write_text(STAND_IN)
        (tools / tool).chmod(0o755)
    environment = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "CALLS": str(noted), "HOME": str(folder)}
    subprocess.run(["bash", str(SCRIPTS / name)], cwd=folder, env=environment, check=False, capture_output=True)
    return [call.splitlines() for call in noted.read_text().split("\t\n")[:-1]]


def composes(words: list[str]) -> None:
    """Every job of a sweep has a strategy of conf/, and the first one has no other options than its parts take."""
    jobs = jobs_of([word for word in hydras_words(words, sweep=True) if word != "-m"])
    strategies = {word.partition("=")[2] for job in jobs for word in job if word.startswith("strategy=")}
    assert all((conf_dir() / "strategy" / f"{name}.yaml").is_file() for name in strategies), strategies
    with composed(jobs[0]) as cfg:
        require_options(cfg)


def shown(page: Path) -> list[str]:
    """The al-run commands of a page, in its text and in its blocks, or of a YAML file's comments."""
    text = re.sub(r"\\\n[ #]*", " ", page.read_text())
    lines = [re.split(r" #| {3}", match[1])[0] for match in re.finditer(r"(?:^[ #]*|`)(al-run [^`\n]*)", text, re.M)]
    return [line for line in lines if "..." not in line and not re.search(r" --(?!labels)", line)]


WITH_COMMANDS = [page for page in PAGES if shown(page)]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_what_a_page_shows_can_be_asked_for(page: Path) -> None:
    for line in shown(page):
        composes(shlex.split(line)[1:])


@pytest.mark.parametrize("name", SWEEPS)
def test_what_a_script_asks_for_exists(name: str, tmp_path: Path) -> None:
    made = calls(name, tmp_path)
    assert any(tool == "al-run" for tool, *_ in made)
    for tool, *words in made:
        if tool == "al-run":
            composes(words)
        elif tool in PARSERS:
            import_module(f"al_runner.analysis.{PARSERS[tool]}")._parser().parse_args(words)


def test_a_script_that_asks_for_what_is_not_there_is_found() -> None:
    with pytest.raises(Exception, match=r"there is no option|Could not override"):
        composes(["-m", "experiment=beluch2018_ablation", "strategy=variation_ratios", "training.shuffle=false"])
    with pytest.raises(AssertionError, match="variation_ratio"):
        composes(["-m", "experiment=beluch2018_ablation", "strategy=random,variation_ratio"])
