"""Nothing from a file is run, no name leads out of its folder, and what is shown can't steer what shows it."""

import ast
import json
import os
from pathlib import Path

import numpy as np
import pytest
from command import Command, digits8

from al_runner.analysis.cli import main as al_plot
from al_runner.analysis.cli_report import main as al_report
from al_runner.data.arrays import Arrays
from al_runner.data.prepared import prepared, read
from al_runner.errors import UsageError
from al_runner.record.state import FAILED, State, write
from al_runner.sweeps.status import main as al_status

PACKAGE = Path(__file__).parents[1] / "al_runner"


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.mark),))


@pytest.mark.parametrize("name", ["train_images", "train_labels", "test_images", "test_labels", "classes"])
def test_a_pickle_in_a_data_file_is_refused_not_loaded(tmp_path: Path, name: str) -> None:
    arrays = {
        "train_images": np.zeros((4, 5, 5), np.uint8),
        "train_labels": np.array([0, 1, 0, 1]),
        "test_images": np.zeros((2, 5, 5), np.uint8),
        "test_labels": np.array([0, 1]),
        "classes": np.array(["a", "b"]),
    }
    np.savez(tmp_path / "sound.npz", **arrays)
    assert read(tmp_path / "sound.npz").train_labels.tolist() == [0, 1, 0, 1]
    bomb = np.empty(4, dtype=object)
    bomb[:] = [Bomb(tmp_path / "mark")] * 4
    np.savez(tmp_path / "bad.npz", **{**arrays, name: bomb})
    with pytest.raises(UsageError, match=rf"bad\.npz: {name} holds Python objects; save "):
        read(tmp_path / "bad.npz")
    assert not (tmp_path / "mark").exists()


def calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_code_loads_pickles(file: Path) -> None:
    """No pickle module; torch.load with weights_only=True, numpy.load with allow_pickle=False, yaml only safely."""
    tree = ast.parse(file.read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imports for alias in node.names} | {
        getattr(node, "module", None) for node in imports
    }
    assert not names & {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    for call in calls(tree):
        assert isinstance(call.func, ast.Attribute)
        whole = ast.unparse(call.func)
        options = {option.arg: ast.unparse(option.value) for option in call.keywords}
        if whole == "torch.load":
            assert options.get("weights_only") == "True"
        if whole in ("np.load", "numpy.load"):
            assert options.get("allow_pickle") == "False"
        assert whole not in ("yaml.load", "yaml.unsafe_load", "yaml.full_load", "pd.read_pickle")


@pytest.mark.parametrize(
    "words",
    [
        ["name=../../../../../escaped"],
        ["name=a/../../../../../escaped"],
        ["name=/escaped"],
        ['name="a\\nb"'],
        ['name="\x1b]0;title\x07"'],
        ["seed=../../../../../escaped"],
        ["dataset=../dataset/digits"],
        ["strategy=../strategy/random"],
    ],
    ids=repr,
)
@pytest.mark.parametrize("mode", [[], ["-m", "hydra/launcher=basic"]], ids=["run", "sweep"])
def test_no_name_leads_out_of_the_results(al_run: Command, tmp_path: Path, mode: list[str], words: list[str]) -> None:
    results = tmp_path / "deep" / "results"
    code, output = al_run(*mode, *digits8(results), "strategy=random", *words)
    assert code == 1
    assert "can't be part of a folder's name" in output
    assert "Traceback" not in output
    assert {str(file.relative_to(tmp_path)).split("/")[0] for file in tmp_path.rglob("*")} <= {"deep"}
    assert not list(tmp_path.rglob("*.csv"))


def test_a_prepared_file_stays_in_the_data_root(tmp_path: Path) -> None:
    def make() -> Arrays:
        raise AssertionError("made")

    for name in ("../escaped", "/escaped", "a/b", "..\\escaped"):
        with pytest.raises(UsageError, match="can't be a file's name"):
            prepared(tmp_path / "root", name, make)
    assert not list(tmp_path.rglob("*"))


STRANGE = '[red]x[/red] <script>alert(1)</script> $\\frac{1}{0}$ & "quoted", =1+1'


def strange_run(folder: Path) -> None:
    """A run whose name and error try what they can."""
    folder.mkdir(parents=True)
    header = "round,labelled,test_error,test_accuracy,best_test_error,val_error,train_error,test_nll,steps"
    rows = [f"{r},{10 * (r + 1)},0.5,0.5,0.5,0.4,0,1.5,64,1.0,1.0" for r in range(3)]
    (folder / "rounds.csv").write_text("\n".join([f"{header},fit_seconds,select_seconds", *rows]) + "\n")
    keys = ("dataset", "model", "learner", "training", "budget", "strategy")
    run = {**{key: f"{key} {STRANGE}" for key in keys}, "name": STRANGE, "seed": 0}
    (folder / "config.yaml").write_text(json.dumps({"run": run}))
    error = f"\x1b[2J\x1b]0;owned\x07{STRANGE}"
    write(folder, State(FAILED, ("seed=0",), "/").now(FAILED, rounds=3, error=error))


def test_what_is_shown_is_shown_to_the_letter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strange_run(tmp_path / "[bold]run")
    assert al_status([str(tmp_path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "[bold]run" in out
    assert STRANGE in out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert al_plot([str(tmp_path)]) == 0
    drawn = [*tmp_path.glob("plots/*.svg")]
    assert drawn
    for picture in drawn:
        assert "<script" not in picture.read_text()
    assert al_report([str(tmp_path)]) == 0
    (page,) = tmp_path.glob("*.html")
    assert "<script>alert" not in page.read_text()
    assert "&lt;script&gt;alert(1)" in page.read_text()
    again = tmp_path / "copy"
    again.mkdir()
    (again / "results.csv").write_bytes((tmp_path / "plots" / "results.csv").read_bytes())
    assert al_plot([str(again)]) == 0  # the names survive the way through a CSV
