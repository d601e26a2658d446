"""Imports point one way (the order of LAYERS), and only the outermost files know Hydra."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "al_runner"
LAYERS = {
    "errors": set(),
    "rng": set(),
    "atomic": set(),
    "interrupt": set(),
    "layers": {"rng"},
    "energy": set(),
    "types": {"errors", "rng"},
    "pool": {"types", "errors"},
    "budget": {"errors"},
    "data": {"types", "rng", "errors", "atomic", "claim"},
    "models": {"types", "errors"},
    "gaussian_field": set(),
    "learners": {"types", "models", "rng", "layers", "gaussian_field", "errors"},
    "engine": {"types", "rng", "layers", "interrupt"},
    "fisher": {"errors"},
    "strategies": {"types", "rng", "pool", "budget", "fisher", "gaussian_field", "errors"},
    "loop": {"types", "rng", "pool", "budget", "strategies", "errors"},
    "checksums": {"atomic"},
    "recovery": {"atomic", "checksums"},
    "provenance": {"types"},
    "option_types": {"errors"},
    "records": {"errors", "atomic", "interrupt", "checksums", "recovery"},
    "console": {"errors"},
    "analysis": {"errors", "atomic", "state", "console", "data"},
    "progress": set(),
    "loggers": {"errors"},
    "slurm": {"errors"},
    "worker": set(),
    "claim": {"slurm"},
    "state": {"atomic", "slurm", "claim"},
}
KNOW_HYDRA = {"run", "job", "sweeps", "explain", "option_types", "plugins"}
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_up_the_list_only(file: Path) -> None:
    part, names = part_of(file), imported(file)
    ours = {name.split(".")[1] for name in names if name.startswith("al_runner.")} - {part}
    outside = {name.split(".")[0] for name in names}
    if part in LAYERS:
        assert ours <= LAYERS[part]
    if part not in KNOW_HYDRA:
        assert not outside & {"hydra", "omegaconf", "hydra_plugins"}
    if part == "analysis":
        assert "torch" not in outside


def test_every_part_has_its_place() -> None:
    assert {part_of(file) for file in FILES} == set(LAYERS) | KNOW_HYDRA | {"__init__"}
