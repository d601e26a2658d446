"""What is written of the options says what the code declares, and every option of conf/ is declared."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from configs import composed
from omegaconf import DictConfig

from al_runner.settings import catalogue, declared, page
from al_runner.settings.catalogue import Part
from al_runner.settings.declared import PLACES, with_defaults
from al_runner.settings.groups import conf_dir

ANEW = "write it anew with python scripts/settings.py"


@pytest.fixture
def parts() -> tuple[Part, ...]:
    return catalogue.parts()


def test_the_page_and_the_help_say_what_is_declared() -> None:
    assert declared.FILE.read_text() == catalogue.as_json(), ANEW
    assert (conf_dir().parent / "docs" / "settings.md").read_text() == page.page(), ANEW


def test_every_option_in_conf_has_a_sentence(parts: tuple[Part, ...]) -> None:
    undeclared = {
        f"{part.path}.{key} of {name}"
        for part in parts
        if part.target.startswith(("al_runner.", "hydra_plugins.al_runner"))
        for name, node in part.choices.items()
        for key in map(str, node)
        if not key.startswith("_") and key not in part.annotations and not is_launcher(part, node, key)
    }
    assert undeclared == set()


def test_the_help_knows_every_option_that_a_choice_leaves_out(parts: tuple[Part, ...]) -> None:
    """PLACES has every group in which that is so, and every target that is built at its places."""
    left: dict[str, set[str]] = {}
    for part in parts:
        left.setdefault(part.path, set()).update(
            key for node in part.choices.values() for key in part.annotations if key not in node
        )
    for place, targets in PLACES.items():
        assert {part.target for part in parts if part.path == place} <= {*targets}
    for place, options in left.items():
        if place in PLACES or "." not in place:
            shown = {name for target in PLACES.get(place, ()) for name in with_defaults(target)}
            assert options <= shown, f"list {options} in conf/{place}/, or {place} in PLACES"


def is_launcher(part: Part, node: DictConfig, key: str) -> bool:
    """hydra/launcher=auto holds two others, each declared by itself."""
    return part.path == "hydra.launcher" and isinstance(node[key], DictConfig) and "_target_" in node[key]


def test_a_sentence_is_one_sentence(parts: tuple[Part, ...]) -> None:
    for part in parts:
        for name, annotation in part.annotations.items():
            may_be, purpose = catalogue.describe(annotation)
            assert may_be and purpose, f"{part.path}.{name}"
            assert purpose == purpose.strip()
            assert not purpose.endswith("."), f"{part.path}.{name}"
            assert ". " not in purpose, f"{part.path}.{name}"


def test_the_help_has_every_option_of_the_choice_with_its_value_and_sentence(al_run) -> None:  # type: ignore[no-untyped-def]
    code, output = al_run("--help", "strategy=badge", "budget.query=7", "training=adam_augmented")
    assert code == 0
    lines = " ".join(output.split())
    assert "first: largest the first image: the longest gradient, or one drawn at random (largest or random)" in lines
    assert "query: 7 labels bought in every later round (a whole number, 1 or more)" in lines
    assert "pixels: 4 the most pixels by which an image is shifted each way (a whole number, 0 or more)" in lines
    assert "recipe: ${training}" in lines
    assert "target_error: null" in output
    for group in ("strategy", "budget", "training", "dataset", "model", "learner"):
        for key in map(str, composed("strategy=badge", "training=adam_augmented")[group]):
            assert key.startswith("_") or f" {key}: " in output
    assert max(map(len, output.partition("Settings of the choice")[2].splitlines())) <= 120


def test_the_help_imports_neither_torch_nor_pydantic(tmp_path: Path) -> None:
    probe = (
        "import sys, al_runner.main as run; sys.argv = ['al-run', '--help']\ntry: run.main()\nexcept SystemExit: pass\n"
    )
    probe += "assert not {'torch', 'pydantic', 'pandas', 'matplotlib'} & {*sys.modules}, sorted(sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=tmp_path, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert "strategy: badge" in done.stdout
