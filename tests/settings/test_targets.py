"""A `_target_` that leads nowhere, and a module of one's own that can't be imported, are named with the place."""

from pathlib import Path

import pytest
from command import QUICK, Command

MODULES = {
    "divides": "x = 1\ny = x / 0\n",
    "reads": "text = open('no_such_labels.csv').read()\n",
    "imports": "import no_such_package\n",
    "fails": "def images(data_root):\n    table = {}\n    return table['images']\n",
}


@pytest.mark.parametrize(
    ("target", "line"),
    [
        (
            "divides.net",
            "Error locating target 'divides.net': ZeroDivisionError: division by zero (divides.py, l",
        ),
        ("reads.net", "No such file or directory: 'no_such_labels.csv' (reads.py, line 1)"),
        ("imports.net", "ModuleNotFoundError: No module named 'no_such_package' (imports.py, line 1)"),
        ("fails.images", "Error in call to target 'fails.images': KeyError('images') (fails.py, line 3)"),
        ("fails", "a _target_ leads to a module, not to a function or a class; write MODULE.NAME, its file without"),
        ("mine/fails.py", "Error locating target 'mine/fails.py': this is a path; write MODULE.NAME, its file without"),
    ],
)
def test_the_line_says_where_to_look(al_run: Command, tmp_path: Path, target: str, line: str) -> None:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "own.yaml").write_text(f"_target_: {target}\n")
    code, output = al_run("--config-dir", str(tmp_path), "dataset=own", *QUICK, f"results={tmp_path / 'results'}")
    assert (code, "Traceback" in output) == (1, False)
    assert line in output.splitlines()[-1]


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("al_runner.data.open_set.open_set", "al_runner.data.open_set.open_set needs data; write `_partial_: true`"),
        ("plain.changed", "plain.changed needs data; write `_partial_: true` beside its _target_ if al-run is to hand"),
        ("plain.Changed", "plain.Changed needs data; write `_partial_: true` beside its _target_"),
        ("plain.outer", "Error in call to target 'plain.outer': TypeError(\"changed() missing 1 required positional"),
    ],
)
def test_what_al_run_hands_over_waits_for_it(al_run: Command, tmp_path: Path, target: str, line: str) -> None:
    (tmp_path / "plain.py").write_text(
        "class Changed:\n    def __init__(self, data):\n        pass\n\n"
        "def changed(data):\n    return data\n\ndef outer():\n    return changed()\n"
    )
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "own.yaml").write_text(f"_target_: {target}\n")
    code, output = al_run("--config-dir", str(tmp_path), "pool=own", *QUICK, f"results={tmp_path / 'results'}")
    assert (code, "Traceback" in output) == (1, False)
    assert line in output.splitlines()[-1]


@pytest.mark.parametrize("text", ["", "path: photos\n"])
def test_a_file_without_a_target_is_told(al_run: Command, tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "own.yaml").write_text(text)
    code, output = al_run("--config-dir", str(tmp_path), "dataset=own", *QUICK, f"results={tmp_path / 'results'}")
    assert code == 1
    assert "this run has no dataset; " in output
    assert output.rstrip().endswith("a file of your own needs a line _target_: MODULE.NAME")


def test_a_choice_that_is_not_there_names_the_flag_for_own_files(al_run: Command) -> None:
    code, output = al_run("dataset=no_such_set_of_images")
    assert code == 1
    assert "or name the folder of your own files with --config-dir (docs/own.md)" in output
