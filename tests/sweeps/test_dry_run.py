"""`al-run --dry-run` says what would run and leaves nothing behind."""

import re
from pathlib import Path

import pytest
import yaml
from command import digits8, finished

from al_runner.errors import UsageError
from al_runner.main import require_sweep
from al_runner.plugins import registered  # noqa: F401 - as the command does
from al_runner.settings.command_line import hydras_words
from al_runner.sweeps.forecast import Earlier, forecast

NAME = {"dataset": "digits", "model": "usps_cnn", "learner": "plain", "training": "adam_short", "strategy": "random"}


def dry(*words: str) -> int:
    from al_runner.api.dry_run import dry_run

    return dry_run(hydras_words([*words]), require_sweep)


def earlier(results: Path, seconds: float, rounds: int = 4) -> None:
    """A recorded run with the choices of NAME; every round takes `seconds`, a fifth of them for its query."""
    folder = results / "digits" / "earlier" / "random" / "seed7"
    folder.mkdir(parents=True)
    head = "round,labelled,test_error,test_accuracy,best_test_error,val_error,train_error,test_nll,steps"
    lines = [f"{r},{20 + 20 * r},.5,.5,.5,.5,0,1,9,{0.8 * seconds},{0.2 * seconds}" for r in range(rounds)]
    (folder / "rounds.csv").write_text("\n".join([f"{head},fit_seconds,select_seconds", *lines]) + "\n")
    run = "".join(f"  {key}: {value}\n" for key, value in {**NAME, "budget": "digits", "name": "''", "seed": 7}.items())
    (folder / "config.yaml").write_text(f"run:\n{run}")


def test_a_sweep_is_told_and_not_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    earlier(tmp_path, 600.0)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    cpu = ["device=cpu", "hydra.launcher.cpu.n_jobs=2"]
    code = dry("-m", *digits8(tmp_path, "strategy=random,bald,margin", "seed=range(0,3)", *cpu))
    lines = capsys.readouterr().out.splitlines()
    assert code == 1  # bald would be refused
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before
    assert lines[0] == "a dry run: nothing is started, and nothing is written"
    assert lines[1] == "digits random seed 0, 1, 2"
    assert lines[3] == "  net: usps_cnn with 43,680 parameters, learner plain, training adam_short, on cpu (1 thread)"
    assert lines[4].startswith("  4 rounds, from 20 labels to 80; folder ")
    assert lines[-5].startswith("refused: strategy=bald needs several posterior samples; use learner=dropout")
    assert lines[-4:] == [
        "in all: 6 runs, 24 rounds to do, 480 labels to buy",
        "started by: auto, which is processes here, 2 runs at the same time",
        "time: about 1:00:00 for 3 runs, going by 1 earlier run with the same data set, model and strategy",
        "time: not known for 3 runs (digits margin); no earlier run has this data set, model and strategy",
    ]


def test_what_is_recorded_is_not_counted_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert finished(*digits8(tmp_path, "strategy=random"))[0] == 0
    assert dry(*digits8(tmp_path, "strategy=random", "budget.max_rounds=5")) == 0
    out = capsys.readouterr().out
    assert "1 run would go on after its last recorded round" in out
    assert "in all: 1 run, 2 rounds to do, 40 labels to buy\nstarted by: this process\ntime: about 0:00:0" in out
    with pytest.raises(UsageError, match=r"dataset\.split\.val: 200 there, 100 asked"):
        dry(*digits8(tmp_path, "strategy=random", "dataset.split.val=100"))


def test_an_option_that_the_default_choice_lacks_reaches_every_run_of_a_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hydra sets options before a sweep, when strategy is still the default one, which has no damping."""
    words = digits8(tmp_path, "-m", "hydra/launcher=basic", "budget.max_rounds=1", "strategy.damping=0.2")
    code, output = finished(*words, "strategy=kfac_vfe,kfac_vfe_eq19")
    assert (code, "all 2 jobs are done" in output) == (0, True), output
    configs = [yaml.safe_load(file.read_text()) for file in tmp_path.rglob("config.yaml")]
    assert [config["strategy"]["damping"] for config in configs] == [0.2, 0.2]
    for choices in ("kfac_vfe,margin", "margin,kfac_vfe"):
        mixed = hydras_words([*words, f"strategy={choices}"])
        monkeypatch.setattr("sys.argv", ["al-run", *mixed])
        assert dry(*mixed) == 1
        out = capsys.readouterr().out
        assert "refused: strategy=margin: only some choices of this sweep have the option strategy.damping" in out
        assert "in all: 1 run, 0 rounds to do" in out  # it is finished


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["strategy.gama=1"], "there is no option strategy.gama"),
        (["budget.query=5000", "budget.candidates=all"], "the training set has 1097 images"),
        (["hydra/launcher=ray"], "hydra/launcher=ray is for sweeps"),
        (["--cfg", "job"], "--dry-run and --cfg don't go together"),
        (["-m", "budget.query=3,4"], r"budget.query=3 and budget.query=4 have the same folder.*name=query"),
        (["-m", "seed=0,1,0"], "the sweep has the job .*seed=0 twice; name it once"),
    ],
)
def test_mistakes_are_told_as_ever(tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        dry(*digits8(tmp_path), *words)
    assert [*tmp_path.iterdir()] == []


def test_a_pattern_of_choices_is_expanded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dry("-m", *digits8(tmp_path), "strategy=glob(mar*)", "seed=1") == 0
    assert "digits margin seed 1" in capsys.readouterr().out


def test_no_data_set_is_prepared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dry("dataset=usps", f"data_root={tmp_path / 'data'}", f"results={tmp_path / 'out'}") == 0
    out = capsys.readouterr().out
    assert f"usps is not prepared in {tmp_path / 'data'} yet" in out
    assert "in all: 1 run; rounds and labels are not known yet" in out
    assert [*tmp_path.iterdir()] == []


def test_no_features_are_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        dry(*digits8(tmp_path, "features=patches", "model=linear_probe", "strategy=random", f"data_root={tmp_path}"))
        == 0
    )
    assert re.search(r"data: patches-\w+ is not prepared in .*; the first run does that", capsys.readouterr().out)
    assert [*tmp_path.iterdir()] == []


def test_the_command_has_the_flag(tmp_path: Path) -> None:
    code, output = finished("--dry-run", *digits8(tmp_path, "strategy=random"))
    assert (code, "in all: 1 run, 4 rounds to do, 80 labels to buy" in output) == (0, True), output
    assert [*tmp_path.iterdir()] == []


def test_a_round_takes_as_long_as_earlier_rounds_with_as_many_labels() -> None:
    held = [Earlier(NAME, [10, 30], [1.0, 3.0]), Earlier(NAME, [10, 30], [3.0, 5.0])]
    other = Earlier({**NAME, "learner": "ensemble"}, [10, 30], [100.0, 100.0])
    foreign = Earlier({**NAME, "strategy": "bald"}, [10, 30], [7.0, 7.0])
    found = forecast(NAME, [10, 10, 10, 10], 1, [*held, other, foreign])
    assert found is not None
    assert (found.seconds, found.runs) == (3.0 + 4.0 + 4.0, 2)  # at 20, 30 and 40 labels
    assert forecast({**NAME, "learner": "dropout"}, [10], 0, [other]) is not None
    assert forecast(NAME, [10], 0, [foreign]) is None
