"""The command itself, as a user types it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from command import ENVIRONMENT, QUICK, Command, digits8, finished, started
from recorded import rounds, untimed
from sklearn.datasets import load_digits

from al_runner.analysis import cases
from al_runner.analysis.table.runs import load
from al_runner.record.state import FAILED, read, write


def folder_of(results: Path, strategy: str = "badge", seed: int = 0) -> Path:
    (folder,) = results.glob(f"*/*/{strategy}/seed{seed}")
    return folder


def test_one_run_shows_its_progress_and_says_where_everything_is(al_run: Command, tmp_path: Path) -> None:
    code, output = al_run(*digits8(tmp_path))
    folder = folder_of(tmp_path)
    assert code == 0
    assert "digits badge seed 0 | round 3/3 |    80 labelled | test error" in output
    assert f"Results: {os.path.relpath(folder)}\n" in output
    assert f"Picture: {os.path.relpath(folder / 'curve.png')}\n" in output
    assert (folder / "curve.png").read_bytes()[:4] == b"\x89PNG"
    assert {"rounds.csv", "acquired.csv", "config.yaml", "provenance.json"} <= set(os.listdir(folder))
    assert folder.relative_to(tmp_path).as_posix() == "digits/usps_cnn-plain-adam_short-digits/badge/seed0"
    code, output = al_run(*digits8(tmp_path))
    assert (code, "finished already" in output) == (0, True)
    code, output = al_run(*digits8(tmp_path, "strategy.first=random"))
    assert code == 1
    assert "strategy.first: largest there, random asked" in output
    assert "Traceback" not in output
    assert al_run(*digits8(tmp_path, "strategy.first=random", "name=random_first"))[0] == 0
    assert (folder.parents[1] / "badge-random_first" / "seed0" / "rounds.csv").exists()
    assert al_run(*digits8(tmp_path, "strategy.first=random", "overwrite=true"))[0] == 0


def test_another_configuration_is_refused_before_the_data_are_loaded(al_run: Command, tmp_path: Path) -> None:
    data = tmp_path / "mine.npz"
    digits = load_digits()
    np.savez(data, train_images=digits.images[:300].astype(np.uint8), train_labels=digits.target[:300])
    words = ["dataset=npz", f"dataset.path={data}", "strategy=random", f"results={tmp_path / 'out'}", *QUICK]
    assert al_run(*words)[0] == 0
    data.unlink()
    code, output = finished(*words, "training.batch_size=7")
    assert (code, "training.batch_size: 64 there, 7 asked" in output) == (1, True), output
    code, output = finished(*words, "training.batch_size=7", "overwrite=true")
    assert (code, "mine.npz" in output, "asked" in output) == (1, True, False), output
    assert len(load(tmp_path / "out")) == 4  # the refused start has overwritten nothing


@pytest.mark.parametrize("how", [[], ["learner=ensemble", "learner.members=2"], ["strategy=learning_loss"]], ids=str)
@pytest.mark.parametrize("launcher", [[], ["-m", "seed=0,1", "hydra/launcher=lockstep"]], ids=["alone", "lockstep"])
def test_a_last_minibatch_of_one_image_trains_a_net_with_batch_norm(  # type: ignore[no-untyped-def]
    al_run, tmp_path: Path, how: list[str], launcher: list[str]
) -> None:
    """64 and then 65 images in minibatches of 64; a ResNet's last maps of 8 x 8 images are of one pixel."""
    budget = ["budget.initial=64", "budget.query=1", "budget.max_rounds=1"]
    quick = ["training.check_every=1", "training.max_checks=2", "hydra.launcher.max_stacked=2"]
    chosen = ["model=resnet18", "model.width=4", "strategy=random", *budget, *quick[: 3 if launcher else 2], *how]
    code, output = al_run(*launcher, f"results={tmp_path}", *chosen)
    assert (code, "Traceback" in output) == (0, False), output
    for seed in range(2 if launcher else 1):
        strategy = "learning_loss" if "strategy=learning_loss" in how else "random"
        assert [row["labelled"] for row in untimed(folder_of(tmp_path, strategy, seed))] == ["64", "65"]


def test_a_spoilt_pool_has_a_folder_of_its_own(al_run: Command, tmp_path: Path) -> None:
    assert al_run(*digits8(tmp_path, "pool=label_noise", "pool.share=0.4", "strategy=random"))[0] == 0
    assert al_run(*digits8(tmp_path, "strategy=random"))[0] == 0
    folders = sorted(folder.relative_to(tmp_path).parts[0] for folder in tmp_path.glob("*/*/random/seed0"))
    assert folders == ["digits", "digits-label_noise"]


def test_strategies_of_one_seed_share_round_0(al_run: Command, tmp_path: Path) -> None:
    first = []
    for strategy in ("random", "kfac_vfe", "curriculum"):
        assert al_run(*digits8(tmp_path, f"strategy={strategy}"))[0] == 0
        first.append(untimed(folder_of(tmp_path, strategy))[0])
    assert first[0] == first[1] == first[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["strategy=kfac"], "there is no strategy=kfac; choose from alfa_mix, badge, bait, bait_binary, "),
        (["stratgy=random"], "there is no option stratgy; did you mean strategy?"),
        (["strategy=badeg"], "there is no strategy=badeg; did you mean strategy=badge?"),
        (["hydra/launcher=rays", "-m"], "there is no hydra/launcher=rays; did you mean hydra/launcher=ray?"),
        (["budget=zzz"], "there is no budget=zzz; choose from beluch2018, cifar, "),
        (
            ["strategy=kfac_vfe", "strategy.gama=1"],
            "there is no option strategy.gama; did you mean strategy.gamma?",
        ),
        (["dataset=usps", "budget.querry=1"], "there is no option budget.querry; did you mean budget.query?"),
        (["-m", "seed=0,1", "strategy=uncertainty,random", "strategy.gama=1"], "strategy has score"),
        (["-m", "seed=range(0,3)", "hydra.launcher.n_jobs=1"], "hydra.launcher has gpu, cpu"),
        (["seed.x=1"], "there is no option seed.x; seed has no options"),
        (["+pool=label_noise"], "pool is chosen already; write pool=label_noise without a + on the command line"),
        (["-m", "strategy=glob(nothing*)"], "strategy=glob(nothing*) names no value"),
        (
            ["features=own", "features.net=x.Y", "features.arguments.width=3"],
            "features.arguments takes names of your own; put a + before such a name",
        ),
        (
            ["dataset.split={val: 50, classes: [5, 7]}"],
            "dataset.split has the options val, test, seed, and was given another; add one alone, as in +dataset.split",
        ),
        (
            ["strategy=tcm", "strategy.first={neighbours: 10}"],
            "strategy.first stands without options; add one alone, as in +strategy.first.OPTION=VALUE",
        ),
        (["strategy=kfac_vfe", "strategy.gamma=-1"], "strategy.gamma is -1; it must be 0 or more"),
        (["strategy=bald"], "bald needs several posterior samples; use learner=dropout, ensemble or bootstrap"),
        (["budget.query=0"], "budget.query is 0"),
        (["budget.initial=-5"], "budget.initial is -5"),
        (["budget.query=5000", "budget.candidates=all"], "the training set has 1097 images"),
        (["budget.initial=5000"], "the training set has 1097 images"),
        (["budget.candidates=3"], "fewer than budget.query=20"),
        (["training.batch_size=0"], "training.batch_size is 0"),
        (["seed=-1"], "seed is -1"),
        (["dataset.split.val=5000"], "dataset.split.val is 5000"),
        (["dataset=npz"], "dataset.path=FILE.npz"),
        (["dataset=npz", "dataset.path=nowhere.npz"], "nowhere.npz does not exist"),
        (["dataset=folder"], "dataset.path=FOLDER"),
        (["device=abacus"], "device=abacus is no name of a device; use auto, cpu, cuda"),
        (["device=gpu"], "device=gpu is no name of a device; use auto, cpu, cuda"),
        (["strategy.uncertain.one_sample=1"], "there is no option strategy.uncertain.one_sample"),
        (["budget=-1"], "budget=-1 names no choice of budget, which is a word; choose one with budget=WORD"),
        (["model=mnist_cnn"], "too small for this net; use model=small_cnn"),
        (["+model.norm=1"], "there is no option model.norm; model has channels, hidden"),
        (
            ["+training.optimizer.speed=1"],
            "there is no option training.optimizer.speed; training.optimizer has lr, betas, eps, weight_decay, foreach",
        ),
        (["training.optimizer.lr=-1"], "training.optimizer.lr is -1; it must be above 0"),
        (["overwrite=no"], "overwrite is 'no'; it must be true or false"),
        (["budget.balanced=true"], "there is no option budget.balanced any more; use budget.initial_by=balanced"),
        (
            ["training=adam_augmented", "features=pixels", "model=linear_probe"],
            "training=adam_augmented shifts and mirrors images, and these inputs are vectors",
        ),
        (
            ["learner=fine_tuned", "experiment=kaeding2016_cifar100", "learner.first.drop_last=3"],
            "learner.first.drop_last is 3; it must be true or false",
        ),
        (["budget.known=2"], "budget.known needs an initial set with the same number of images of every class"),
        (["pool=class_discovery", "pool.known=3"], "set budget.initial_by=balanced budget.known=3"),
        (
            ["pool=class_discovery", "budget.initial_by=balanced", "budget.known=5"],
            "lets the initial set have 2 classes, and budget.known=5 would let it have more",
        ),
        (["training.label_smothing=0.1"], "did you mean training.label_smoothing?"),
        (["training.keep=bets"], "training.keep is 'bets'; it must be best or last"),
        (["budget.initial_by=2x"], "no strategy of that name; use random, balanced, or a strategy that needs no fit"),
        (["budget.initial_by=kfac_trace"], "budget.initial_by is kfac_trace, which chooses by a fitted model"),
        (["budget.initial_by=margin"], "budget.initial_by is margin, which chooses by a fitted model"),
        (
            ["strategy=kfac_vfe", "strategy.invert_labelled=maybe"],
            "strategy.invert_labelled is 'maybe'; it must be true or false",
        ),
        ([f"seed={2**63}"], "seed is 9223372036854775808; it must be 0 or more and at most 9,223,372,036,854,775,807"),
        (["seed=1.5"], "seed is 1.5; it must be a whole number"),
        (["seed=abc"], "seed is 'abc'; it must be a whole number"),
        (["threads=0"], "threads is 0; it must be 1 or more"),
        (["training.patience=nan"], "training.patience is nan; it must be a whole number"),
        (
            ["model=resnet18", "model.width=4", "strategy=random", "training.batch_size=1"],
            "model=resnet18 can't be trained on one image at a time",
        ),
        (
            ["model=resnet18", "model.width=4", "strategy=random", "budget.initial=1", "budget.initial_by=random"],
            "raise training.batch_size to 2 or more, and budget.initial until 2 images or more are for training",
        ),
        (["training.batch_size=true"], "training.batch_size is true; it must be a whole number"),
        (["learner=ensemble", "strategy=random", "learner.members=1.5"], "learner.members is 1.5; it must be a whole"),
        (["dataset.split.seed=abc"], "dataset.split.seed is 'abc'; it must be a whole number"),
        (["dataset.split.val=some"], "dataset.split.val is 'some'; it must be a number"),
        (["dataset.split.test=low"], "dataset.split.test is 'low'; it must be a number or null"),
        (["learner.recipe.batch_size=8"], "learner.recipe is that of training: set training.batch_size"),
        (["learner.recipe.optimizer.eps=8"], "learner.recipe is that of training: set training.optimizer.eps"),
        (["strategy=tcm", "strategy.first.left_out=-1"], "strategy.first.left_out is -1; it must be 0 or more"),
        (["strategy=tcm", "strategy.first.more=1"], "strategy.first has max_clusters, neighbours, left_out"),
        (["strategy=random", "strategy.p=2"], "there is no option strategy.p; strategy has no options"),
        (
            ["strategy._target_=broken_module.Mine"],
            "there is no module broken_module; broken_module.py may lie in the folder where al-run is started",
        ),
        (
            ["-m", "strategy=kfac_vfe", "strategy.gamma=0,1"],
            "tell such jobs apart by their name, as with 'name=gamma${strategy.gamma}'",
        ),
        (
            ["hydra/launcher=slurm"],
            "hydra/launcher=slurm is for sweeps, and this is a single run; put -m before the options",
        ),
        (["+foo=3"], "there is no option foo; al-run --help lists all groups and settings"),
        (["query=40"], "there is no option query; did you mean budget.query?"),
        (
            ["strategy=kfac_vfe", "strategy.generalisation=inf"],
            "strategy.generalisation is inf; it must be a finite number, 0 or more",
        ),
        (["--strategy", "random"], "there is no flag --strategy; options are given without dashes, as strategy=random"),
        (["run.strategy=../../x"], "run.strategy can't be set: it is made of the run's own choices"),
        (["-m", "strategy=random,random"], "the sweep has the job"),
        (
            ["strategy=suggestive_annotation"],
            "strategy=suggestive_annotation needs several posterior samples; use learner=dropout",
        ),
        (
            ["strategy=learning_loss", "learner=acgan_small", "learner.samples=1"],
            "strategy=learning_loss needs a net to which it can add layers",
        ),
        (
            ["strategy=learning_loss", "learner=linear_svm"],
            "strategy=learning_loss needs a net to which it can add layers, and this learner trains only the net",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_gets_one_line_before_any_training(  # type: ignore[no-untyped-def]
    al_run, tmp_path: Path, arguments: list[str], message: str
) -> None:
    code, output = al_run(f"results={tmp_path}", *arguments)
    assert code == 1
    assert message in output
    assert "Traceback" not in output
    assert "Error executing job" not in output
    assert "labelled | test error" not in output
    left = {file.name for file in tmp_path.rglob("*")}
    assert left <= ({"multirun.yaml"} if "-m" in arguments else set())  # Hydra writes that one of every sweep


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["strategy=random", "model.inputs=63"],
            "model=mine or training=adam_short: mat1 and mat2 shapes cannot be multiplied",
        ),
        (["strategy=kfac_vfe"], "layer 'net.shared' is used twice in one forward pass"),
    ],
    ids=["random", "kfac_vfe"],
)
def test_a_net_of_the_user_s_own_is_tried_on_images_before_any_training(  # type: ignore[no-untyped-def]
    al_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    (tmp_path / "user_net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, image_shape, classes, inputs):\n"
        "        super().__init__()\n"
        "        self.first, self.shared = nn.Linear(inputs, 10), nn.Linear(10, 10)\n"
        "    def forward(self, x):\n"
        "        return self.shared(self.shared(self.first(x.flatten(1))))\n"
    )
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "mine.yaml").write_text("_target_: user_net.Net\n_partial_: true\ninputs: 64\n")
    monkeypatch.syspath_prepend(tmp_path)
    code, output = al_run("--config-dir", str(tmp_path / "conf"), f"results={tmp_path}", "model=mine", *arguments)
    assert (code, message in output) == (1, True)
    assert not list(tmp_path.rglob("rounds.csv"))


MADE = """
from torch import nn

BODY = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def fresh(image_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))


def shared(image_shape, classes):
    return nn.Sequential(BODY, nn.Linear(10, classes))


def frozen(image_shape, classes):
    return nn.Sequential(BODY.requires_grad_(False), nn.Linear(10, classes))


class NoStrategy:
    pass
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder for --config-dir with a module of one's own beside its YAML files."""
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "strategy").mkdir()
    (tmp_path / "mine" / "made_by_me.py").write_text(MADE)
    for name in ("fresh", "shared", "frozen"):
        (tmp_path / "mine" / "model" / f"{name}.yaml").write_text(f"_target_: made_by_me.{name}\n_partial_: true\n")
    (tmp_path / "mine" / "strategy" / "none.yaml").write_text("_target_: made_by_me.NoStrategy\n")
    return tmp_path / "mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["model=shared"],
            "model=shared: every net must have weights of its own, and two have the same net.0.1.w",
        ),
        (["strategy=none"], "strategy=none makes a NoStrategy, which is no strategy; derive its class from Strategy"),
    ],
)
def test_parts_of_one_s_own_are_looked_at_before_any_training(
    al_run: Command, tmp_path: Path, own: Path, words: list[str], message: str
) -> None:
    code, output = al_run("--config-dir", str(own), *digits8(tmp_path / "out"), *words)
    assert (code, message in output) == (1, True), output
    assert not list(tmp_path.rglob("rounds.csv"))


def test_a_run_with_a_net_of_one_s_own_is_exported_without_more_words(
    al_run: Command, tmp_path: Path, own: Path
) -> None:
    """Also one with a frozen part that all nets share."""
    code, output = al_run("--config-dir", str(own), *digits8(tmp_path / "out", "model=frozen", "strategy=random"))
    assert code == 0, output
    (folder,) = (file.parent for file in tmp_path.rglob("rounds.csv"))
    code, output = al_run("--export", str(folder))
    assert code == 0, output
    assert (folder / "export" / "labelled.csv").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_run_of_a_machine_with_a_gpu_is_exported_on_one_without(
    al_run: Command, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert al_run(*digits8(tmp_path / "out"))[0] == 0
    folder = folder_of(tmp_path / "out")
    state = read(folder)
    assert state is not None
    write(folder, replace(state, overrides=(*state.overrides, "device=cuda")))
    code, output = al_run("--export", str(folder))
    assert (code, "95 % interval" in output) == (0, True), output
    assert "device=cuda can't be used here; the net is trained again on cpu" in caplog.messages


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_gpu_that_is_not_there_is_named(al_run: Command, tmp_path: Path) -> None:
    code, output = al_run(*digits8(tmp_path, "device=cuda"))
    assert (code, "device=cuda can't be used here" in output) == (1, True)


def test_a_loss_that_turns_nan_keeps_what_was_recorded(al_run: Command, tmp_path: Path) -> None:
    blow_up = ["training.optimizer._target_=torch.optim.SGD", "~training.optimizer.fused", "training.optimizer.lr=1e30"]
    code, output = al_run(*digits8(tmp_path, "training.check_every=8", *blow_up))
    assert code == 1
    assert "round 0: the training loss is not finite at step" in output
    assert not list(tmp_path.rglob("rounds.csv"))
    assert list(tmp_path.rglob("acquired.csv"))


def test_results_that_cannot_be_written_are_named(al_run: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, output = al_run(*digits8(tmp_path / "file"))
    assert code == 1
    assert f"{tmp_path / 'file'}" in output
    assert "choose another folder with results=" in output
    assert "Traceback" not in output


def test_a_sweeps_folder_that_cannot_be_written_is_named(al_run: Command, tmp_path: Path) -> None:
    (tmp_path / "multirun.yaml").mkdir()  # Hydra, not al-runner, writes the file of this name
    code, output = al_run("-m", *digits8(tmp_path))
    assert (code, "Traceback" in output) == (1, False)
    assert f"{tmp_path / 'multirun.yaml'} can't be written (Is a directory); choose another folder with res" in output


def test_two_processes_never_share_a_folder(al_run: Command, tmp_path: Path) -> None:
    from filelock import FileLock

    folder = tmp_path / "digits/usps_cnn-plain-adam_short-digits/badge/seed0"
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"):
        code, output = al_run(*digits8(tmp_path))
    assert (code, "in use by another process" in output) == (1, True)


def test_a_run_killed_again_and_again_ends_with_the_rows_of_one_never_killed(al_run: Command, tmp_path: Path) -> None:
    """SIGKILL as soon as the next round is on disk, three times over, then once more to the end."""
    slow = ["training.check_every=40", "training.max_checks=4"]
    assert al_run(*digits8(tmp_path / "whole", *slow))[0] == 0
    killed = tmp_path / "killed/digits/usps_cnn-plain-adam_short-digits/badge/seed0"
    for seen in range(3):
        process = started(*digits8(tmp_path / "killed", *slow))
        deadline = time.monotonic() + 60
        while rounds(killed) <= seen and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert 1 <= rounds(killed) <= 4
    assert started(*digits8(tmp_path / "killed", *slow)).wait() == 0
    whole = folder_of(tmp_path / "whole")
    assert untimed(killed) == untimed(whole)
    assert (killed / "acquired.csv").read_bytes() == (whole / "acquired.csv").read_bytes()


OWN = """
import os
from al_runner.strategies.base import Strategy

class Twice(Strategy):
    def select(self, fitted, pool, n, rng):
        return pool.candidates[:n].tolist() if os.environ.get("MENDED") else pool.candidates[:1].repeat(n)
"""


def test_a_strategy_of_the_user_s_own_that_is_mended_goes_on(  # type: ignore[no-untyped-def]
    al_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It bought one id twenty times; mended, it goes on, and returns a list."""
    (tmp_path / "own_strategy.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    words = digits8(tmp_path / "out", "strategy=random", "strategy._target_=own_strategy.Twice")
    for _ in range(2):
        code, output = al_run(*words)
        assert (code, "Twice returned the same id twice" in output, "Traceback" in output) == (1, True, False)
        folder = folder_of(tmp_path / "out", "random")
        assert len(untimed(folder)) == 1
        assert not (folder / "predicted.csv").exists()
    monkeypatch.setenv("MENDED", "1")
    code, output = al_run(*words)
    assert (code, "resumed after round 0 of 3" in output) == (0, True)
    assert len(untimed(folder)) == 4


SEER = """
from dataclasses import dataclass
from al_runner.strategies.base import Strategy

@dataclass(frozen=True)
class Seer(Strategy):
    foresees = True

    async def query(self, fitted, pool, n, streams):
        batches = [pool.candidates[:n], pool.candidates[-n:]]
        outcomes = await pool.foresight.validation(batches, fitted, streams)
        return batches[outcomes[1].loss < outcomes[0].loss]
"""


def test_a_strategy_of_the_user_s_own_that_foresees_is_recorded_as_an_upper_line_and_not_ranked(
    al_run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_seer.py").write_text(SEER)
    monkeypatch.syspath_prepend(tmp_path)
    out = tmp_path / "out"
    words = ["strategy=random", "strategy._target_=own_seer.Seer", "name=seer"]
    for seed in range(3):
        assert al_run(*digits8(out, "strategy=random", f"seed={seed}"))[0] == 0
        assert al_run(*digits8(out, "strategy=margin", f"seed={seed}"))[0] == 0
        code, output = al_run(*digits8(out, *words, f"seed={seed}"))
        assert code == 0, output
    assert al_run(*digits8(out, *words, "seed=0", "budget.max_rounds=4"))[0] == 0  # it goes on
    config = yaml.safe_load((folder_of(out, "random-seer") / "config.yaml").read_text())
    assert config["run"]["upper_line"] is True
    assert "upper_line" not in yaml.safe_load((folder_of(out, "margin") / "config.yaml").read_text())["run"]
    (case,) = cases(load(out))
    assert set(case.parts) == {"random", "margin", "random-seer"}
    assert case.strategies == ["random", "margin"]


def test_data_that_moved_is_still_the_run_s_and_other_data_is_not(al_run: Command, tmp_path: Path) -> None:
    digits = load_digits()
    images, labels = (digits.images * 15.9).astype(np.uint8), digits.target
    parts = {"train_images": images[:900], "train_labels": labels[:900]}
    (tmp_path / "moved").mkdir()
    np.savez(tmp_path / "own.npz", **parts, test_images=images[900:], test_labels=labels[900:])
    shutil.copy(tmp_path / "own.npz", tmp_path / "moved" / "own.npz")
    np.savez(tmp_path / "other.npz", **parts, test_images=255 - images[900:], test_labels=labels[900:])
    quick = ["dataset=npz", f"results={tmp_path / 'out'}", f"data_root={tmp_path}", *QUICK, "strategy=random"]
    assert al_run(*quick, "budget.max_rounds=1", f"dataset.path={tmp_path / 'own.npz'}")[0] == 0
    code, output = al_run(*quick, f"dataset.path={tmp_path / 'other.npz'}")
    assert (code, "holds a run on other images or labels; restore them, give this one name=" in output) == (1, True)
    code, output = al_run(*quick, f"dataset.path={tmp_path / 'moved' / 'own.npz'}")
    assert (code, "resumed after round 1 of 3" in output) == (0, True)


CRASH = """
from al_runner.strategies.base import Strategy

class Crash(Strategy):
    def select(self, fitted, pool, n, rng):
        return {}["mine"]
"""


def test_a_crash_in_a_strategy_is_no_success_and_keeps_what_was_recorded(tmp_path: Path) -> None:
    (tmp_path / "own_crash.py").write_text(CRASH)
    words = digits8(tmp_path, "strategy=random", "strategy._target_=own_crash.Crash")
    process = started("--config-dir", str(tmp_path), *words)
    output, _ = process.communicate()
    assert process.returncode == 1
    assert "KeyError: 'mine'" in output
    assert output.endswith("This ended round 1. Every earlier round is kept; the same command goes on there.\n")
    assert len(untimed(folder_of(tmp_path, "random"))) == 1


ENDS = """
import sys
from dataclasses import dataclass
from al_runner.strategies.base import Strategy

@dataclass(frozen=True)
class Ends(Strategy):
    def select(self, fitted, pool, n, rng):
        sys.exit(0)
"""


@pytest.mark.parametrize("launcher", ["basic", "lockstep"])
def test_a_run_whose_own_code_ends_the_program_is_no_success_and_the_others_go_on(
    launcher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_end.py").write_text(ENDS)
    monkeypatch.setitem(ENVIRONMENT, "PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    targets = "strategy._target_=own_end.Ends,al_runner.strategies.random.Random"
    sweep = ["-m", f"hydra/launcher={launcher}", "strategy=random", targets, "name=${strategy._target_}"]
    code, output = finished(*sweep, *digits8(tmp_path / "out"))
    assert code == 1, output
    assert "1 of 2 jobs failed" in output
    assert "code of this run called sys.exit(0)" in output.splitlines()[-1]
    ended, other = sorted((tmp_path / "out").glob("*/*/*/seed0"), reverse=True)
    assert (len(untimed(ended)), len(untimed(other))) == (1, 4)
    state = read(ended)
    assert state is not None and state.state == FAILED


def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "digits/usps_cnn-plain-adam_short-digits/badge/seed0"
    process = started(*digits8(tmp_path, "training.check_every=200", "training.max_checks=5"))
    while rounds(folder) < 1 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130
    assert output.splitlines()[-1] == "al-run: interrupted; the same command resumes where it stopped"
    assert rounds(folder) >= 1


def test_a_sweep_runs_everything_and_reports_what_failed(tmp_path: Path) -> None:
    """One of three jobs has a query of none; the others finish, and the exit code says so."""
    process = started("-m", *digits8(tmp_path, "strategy=random", "budget.query=0,20,30", "name=q${budget.query}"))
    output, _ = process.communicate()
    assert process.returncode == 1
    assert "1 of 3 jobs failed" in output
    assert "budget.query=0" in output.splitlines()[-1]
    assert "budget.query is 0; it must be 1 or more" in output.splitlines()[-1]
    assert "Traceback" not in output
    assert [
        len(untimed(tmp_path / f"digits/usps_cnn-plain-adam_short-digits/random-q{q}/seed0")) for q in (20, 30)
    ] == [4, 4]


def test_help_shows_the_groups(al_run) -> None:  # type: ignore[no-untyped-def]
    code, output = al_run("--help")
    assert code == 0
    for word in ("strategy: ", "kfac_vfe", "dataset: ", "usps", "al-run -m", "seed: 0", "experiment: "):
        assert word in output


def test_shell_completion_knows_the_strategies(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "al_runner.main", "-sc", "query=bash"],
        env={**os.environ, "COMP_LINE": "al-run strategy=kfac_v", "COMP_POINT": "22"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.strip() == "strategy=kfac_vfe strategy=kfac_vfe_eq19"
