"""Imports point one way (the order of LAYERS), and only the outermost files know Hydra."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "al_runner"
LAYERS = {
    "errors": set(),
    "settings": {"errors"},
    "rng": set(),
    "system": {"errors"},
    "needs": {"errors"},
    "labels": set(),
    "metrics": set(),
    "balance": set(),
    "types": {"errors", "rng", "needs", "labels"},
    "training": {"balance", "types", "errors", "rng", "settings"},
    "gather": {"training"},
    "wrapped": {"types", "needs"},
    "pseudo_labels": {"types", "system"},
    "pool": {"labels", "types", "rng", "errors"},
    "oracle": {"labels", "training", "types", "system", "pool", "models", "rng", "errors", "settings"},
    "budget": {"errors", "settings"},
    "data": {"labels", "types", "rng", "errors", "system", "settings"},
    "models": {"training", "types", "system", "errors", "rng", "settings"},
    "generative": {"training", "types", "models", "errors", "settings"},
    "learners": {
        "gather",
        "wrapped",
        "pseudo_labels",
        "training",
        "types",
        "system",
        "needs",
        "models",
        "generative",
        "rng",
        "errors",
        "settings",
    },
    "engine": {"balance", "training", "types", "rng", "models", "system", "errors", "settings"},
    "fisher": {"errors"},
    "strategies": {
        "gather",
        "wrapped",
        "pseudo_labels",
        "training",
        "types",
        "system",
        "needs",
        "rng",
        "pool",
        "budget",
        "metrics",
        "fisher",
        "models",
        "generative",
        "errors",
        "settings",
    },
    "features": {"models", "types", "errors", "rng", "system", "settings", "data", "strategies"},
    "loop": {
        "gather",
        "labels",
        "metrics",
        "training",
        "types",
        "rng",
        "pool",
        "oracle",
        "learners",
        "budget",
        "strategies",
        "settings",
        "errors",
    },
    "testing": {
        "wrapped",
        "training",
        "types",
        "needs",
        "rng",
        "pool",
        "models",
        "learners",
        "engine",
        "strategies",
        "errors",
    },
    "record": {"labels", "errors", "system", "types", "settings"},
    "labelling": {"labels", "errors", "system", "types", "oracle", "record"},
    "analysis": {"labels", "errors", "system", "record", "data"},
    "sweeps": {"labels", "types", "errors", "system", "record", "settings", "analysis"},
}
KNOW_HYDRA = {"main", "job", "sweeps", "settings", "plugins", "api"}
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


# The rooms of analysis, each of which may import those before it; the commands are the files at its top.
ROOMS = {
    "table": set(),
    "stats": {"table"},
    "draw": {"table", "stats"},
    "tell": {"table", "stats"},
    "report": {"table", "stats", "draw", "tell"},
}
ANALYSIS = sorted((PACKAGE / "analysis").rglob("*.py"))


@pytest.mark.parametrize("file", ANALYSIS, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_rooms_of_analysis_point_one_way(file: Path) -> None:
    room = file.relative_to(PACKAGE / "analysis").parts[0].removesuffix(".py")
    ours = [name.split(".")[2:] for name in imported(file) if name.startswith("al_runner.analysis")]
    assert [] not in ours, "a module names the module it needs, not the package, which imports them all"
    allowed = ROOMS[room] | {room} if room in ROOMS else set(ROOMS)  # commands don't import each other
    assert {parts[0] for parts in ours} <= allowed


def modules(package: Path, name: str) -> dict[str, set[str]]:
    """What each module of a package imports of it."""
    found = {".".join((name, *file.relative_to(package).with_suffix("").parts)): file for file in package.rglob("*.py")}
    return {module: {other for other in imported(file) if other in found} for module, file in found.items()}


def test_no_modules_of_analysis_import_each_other_in_a_circle() -> None:
    left = modules(PACKAGE / "analysis", "al_runner.analysis")
    assert len(left) > 30
    while ready := [module for module, needs in left.items() if not needs & set(left)]:
        for module in ready:
            del left[module]
    assert not left
