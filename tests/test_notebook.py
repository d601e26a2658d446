"""docs/notebook.ipynb runs from top to bottom, shows what it stored, and is a sound notebook."""

import json
import re
from base64 import b64decode
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[1]
FILE = REPOSITORY / "docs" / "notebook.ipynb"
NOTEBOOK = json.loads(FILE.read_text())
CODE = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def kinds(cell: dict[str, Any]) -> list[list[str]]:
    """What kinds of things a cell shows."""
    return [[output["output_type"], *sorted(output.get("data", ()))] for output in cell["outputs"]]


def shown(cell: dict[str, Any]) -> str:
    return "".join(
        "".join(output.get("text", "")) + "".join(output.get("data", {}).get("text/plain", ""))
        for output in cell["outputs"]
    )


def test_its_cells_run_in_one_namespace_and_show_what_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The numbers may differ in their last digits on another machine, so only what can't differ is compared."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))
    monkeypatch.chdir(tmp_path)
    done = import_module("notebook").carried_out(NOTEBOOK)
    assert list(tmp_path.iterdir()) == []
    code = {cell["id"]: cell for cell in done["cells"] if cell["cell_type"] == "code"}
    assert {name: kinds(cell) for name, cell in code.items()} == {cell["id"]: kinds(cell) for cell in CODE}
    assert [line.split()[1:3] for line in shown(code["run"]).splitlines()[1:]] == [
        [str(round_), str(10 * round_ + 10)] for round_ in range(5)
    ]
    assert shown(code["sweep"]).count("done") == 9
    assert shown(code["verdict"]).startswith("With 50 labels ")
    assert len(re.findall(r"\d", shown(code["choose"]))) == 10


def test_an_error_in_a_cell_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))
    cell = {"cell_type": "code", "source": ["x = 1\n", "1 / 0"]}
    with pytest.raises(ZeroDivisionError):
        import_module("notebook").carried_out({"cells": [cell]})


def test_it_is_a_notebook_that_was_carried_out_and_holds_a_figure() -> None:
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    assert NOTEBOOK["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in NOTEBOOK["cells"]]
    assert len({*ids}) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in ids)
    needed = {"cell_type", "id", "metadata", "source"}
    for cell in NOTEBOOK["cells"]:
        assert {*cell} == needed | ({"execution_count", "outputs"} if cell["cell_type"] == "code" else set())
    assert [cell["execution_count"] for cell in CODE] == [*range(1, len(CODE) + 1)]
    assert all(cell["outputs"] for cell in CODE)
    pictures = [
        output["data"]["image/png"]
        for cell in CODE
        for output in cell["outputs"]
        if "image/png" in output.get("data", {})
    ]
    assert [b64decode(picture)[:8] for picture in pictures] == [b"\x89PNG\r\n\x1a\n"]
    assert FILE.stat().st_size < 200_000


def test_it_names_no_folder_of_the_machine_that_made_it() -> None:
    assert not re.search(r"/tmp|/home|/root|[A-Z]:\\\\", "".join(map(shown, CODE)))
