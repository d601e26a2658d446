"""A part of one's own that can't work is named in one line: before any training, if that is possible."""

import importlib
import sys
from pathlib import Path

import pytest
import torch
import toy
from command import QUICK, Command

MODULE = """
import torch
from dataclasses import dataclass
from torch import nn
from al_runner.features.base import Features
from al_runner.learners.plain import Plain, SingleNet
from al_runner.loop.stopping import Stopping
from al_runner.needs import Gives
from al_runner.strategies.base import ByScore, Strategy
from al_runner.training import Fit, trained

class NaN(ByScore):
    def scores(self, fitted, pool, ids, rng):
        return torch.full([len(ids)], torch.nan)

class Raises(ByScore):
    def scores(self, fitted, pool, ids, rng):
        raise KeyError("mine")

class Wrong(Strategy):
    def select(self, fitted, pool, n, rng):
        return torch.arange(n)

class WordAsNeeds(NaN):
    needs = "network"

class NoPlan(NaN):
    def plan(self, budget): ...

class NoWrap(NaN):
    def wrap(self, learner): ...

class CheckOfNet(NaN):
    def check(self, net): ...

class LeavesTraining(Strategy):
    def select(self, fitted, pool, n, rng):
        fitted.network().train()
        return pool.candidates[:n]

class NoScores(ByScore): pass

class NoSelect(Strategy): pass

class FewArguments(ByScore):
    def scores(self, fitted, pool, ids): ...

class NotAsync(Strategy):
    def query(self, fitted, pool, n, streams): ...

class Async(Strategy):
    async def select(self, fitted, pool, n, rng): ...

class Learner:
    gives, continues = Gives(network=False, features=False), False
    def __init__(self, build): self.build = build
    async def fit(self, data, streams, previous): return Fitted()

class Fitted:
    def log_probs(self, x): ...

class WordAsGives(Learner):
    gives = "network"

class NoNetwork(Learner):
    gives = Gives()
    async def fit(self, data, streams, previous):
        fitted = Fitted()
        fitted.steps = 0
        return fitted

class NetInFit(Learner):
    async def fit(self, data, streams, previous):
        await trained([Fit(self.build(), None, data, streams)])

class NoGives:
    continues = False
    def __init__(self, build): self.build = build
    async def fit(self, data, streams, previous): ...

class NoBuild(Learner):
    def __init__(self): ...

class FitNotAsync(Learner):
    def fit(self, data, streams, previous): ...

class TwoArguments:
    whole = False
    def __call__(self, step, per_check): ...

class Word:
    whole = False
    def __call__(self, step, per_check, steps): return "fast"

class EndsNaN:
    whole = False
    def __call__(self, step, per_check, steps): return 1.0 if step < steps - 1 else float("nan")

class NoWhole:
    def __call__(self, step, per_check, steps): return 1.0

def no_such_layer(net): net.missing.weight.zero_()

def needs_more(net, more): ...

class NoClose:
    def __init__(self, folder, settings): ...
    def write(self, row): ...

class NoFolder:
    def __init__(self): ...

class NoSuper(nn.Module):
    def __init__(self, image_shape, classes): self.layer = nn.Linear(64, classes)

class InAList(nn.Module):
    def __init__(self, image_shape, classes):
        super().__init__()
        self.hidden, self.last = [nn.Linear(64, 9)], nn.Linear(9, classes)
    def forward(self, x): return self.last(self.hidden[0](x.flatten(1)))

def nothing(image_shape, classes): nn.Linear(64, classes)

def kind(image_shape, classes): return nn.Linear

class NoRules:
    obey = None

class SaysNothing(Stopping):
    def said(self, kappas, uncertainty, errors): return None

class SaysTensor(Stopping):
    def said(self, kappas, uncertainty, errors): return {"stop_mine": torch.tensor(1.0)}

@dataclass(frozen=True)
class SaysLess(Stopping):
    obey: str = "plateau"
    def said(self, kappas, uncertainty, errors): return {"stop_mine": 1.0}

class SaidRaises(Stopping):
    def said(self, kappas, uncertainty, errors): return {"stop_mine": 1 / 0}

class SaidRaisesLater(Stopping):
    def said(self, kappas, uncertainty, errors): return {"stop_mine": 0.0 if len(errors) < 3 else errors[3]}

class EndedRaises(Stopping):
    def ended(self, record): return record.column("stop_mine").index(1.0)

class EndedRaisesLater(Stopping):
    def ended(self, record): return {0: None, 1: None}[len(record.column("val_error"))]

class EndedSays(Stopping):
    def ended(self, record): return False

class SaidShort(Stopping):
    def said(self, kappas): ...

class NoFeatures: ...

class NoIdentity(Features): ...

class Identity(Features):
    def identity(self, data): return {}

class NoExtractor(Identity): ...

class NoneExtractor(Identity):
    def extractor(self, data, device): return None

class TensorIdentity(Features):
    def identity(self, data): return {"weights": torch.ones(2)}

class NoneIdentity(Features):
    def identity(self, data): ...

class Uneven(Identity):
    def extractor(self, data, device): return lambda x: x.float().flatten(1)[:, :len(x)]

class NoOptimizer:
    def __init__(self, params, lr): ...

class NoStep(torch.optim.Optimizer):
    def __init__(self, params, lr): super().__init__(params, {"lr": lr})

class StepOfClosure(NoStep):
    def step(self, closure): ...

class OneFit(Learner):
    async def fit(self, data, streams, previous):
        await trained(Fit(self.build, None, data, streams))
"""


@pytest.mark.parametrize(
    ("word", "line", "rounds"),
    [
        ("strategy=NaN", "round 1: strategy=own gave a score that is NaN, so the images have no order; look for", 1),
        ("strategy=Wrong", "Wrong returned id ", 1),
        (
            "strategy=NoScores",
            "strategy=own chooses nothing, because NoScores has no method of its own; write def sc",
            0,
        ),
        (
            "strategy=NoSelect",
            "strategy=own chooses nothing, because NoSelect has no method of its own; write def se",
            0,
        ),
        (
            "strategy=FewArguments",
            "strategy=own: FewArguments.scores can't be called as the run calls it; write def",
            0,
        ),
        (
            "strategy=NotAsync",
            "strategy=own: NotAsync.query can't be called as the run calls it; write async def que",
            0,
        ),
        (
            "strategy=Async",
            "strategy=own: Async.select can't be called as the run calls it; write def select(self, fi",
            0,
        ),
        ("strategy=WordAsNeeds", "strategy=own: WordAsNeeds.needs is 'network'; write needs = Needs(network=True)", 0),
        ("strategy=NoPlan", "strategy=own: NoPlan.plan returned NoneType; return the budget, as it is given or", 0),
        ("strategy=NoWrap", "strategy=own: NoWrap.wrap returned NoneType; return the learner, as it is given or", 0),
        (
            "strategy=CheckOfNet",
            "CheckOfNet.check can't be called as the run calls it; write def check(self, net",
            0,
        ),
        ("strategy=LeavesTraining", "LeavesTraining left the net in training mode, where dropout is random; call", 1),
        (
            "learner=WordAsGives",
            "learner=own: WordAsGives.gives is 'network'; write gives = Gives(...) of",
            0,
        ),
        ("learner=NoNetwork", "NoNetwork.fit gave Fitted, which has no method network; add it, or declare gives", 0),
        ("learner=NetInFit", "a Fit takes what makes a net, not a net; write Fit(self.build, ...) without ()", 0),
        ("model=NoSuper", "model=own or training=adam_short: cannot assign module before Module.__init__() call", 0),
        ("model=InAList", "model=own: hidden is a list, so its layers would not be trained or saved; keep layers", 0),
        ("model=nothing", "the model's function returned NoneType; return a torch.nn.Module, made and ready", 0),
        ("model=kind", "the model's function returned the class Linear; return a torch.nn.Module, made and re", 0),
        ("learner=NoGives", "learner=own makes a NoGives, which has no gives; derive its class from Plain", 0),
        (
            "learner=NoBuild",
            "got an unexpected keyword argument 'build'; a learner is made with build=, which makes",
            0,
        ),
        (
            "learner=FitNotAsync",
            "learner=own: FitNotAsync.fit can't be called as the run calls it; write async def fit",
            0,
        ),
        ("learner=Learner", "Learner.fit gave Fitted; return an object with log_probs(x) and steps, such as", 0),
        ("stopping=NoRules", "stopping=... makes a NoRules, which has no rules; derive its class from Stopping of", 0),
        (
            "stopping=SaysNothing",
            "stopping=...: SaysNothing.said gives None; it must give 1.0 (stop) or 0.0 for every",
            0,
        ),
        ("stopping=SaysTensor", "SaysTensor.said gives {'stop_mine': tensor(1.)}; it must give 1.0 (stop) or 0.0", 0),
        ("stopping=SaysLess", "SaysLess.said gives {'stop_mine': 1.0}; it must give 1.0 (stop) or 0.0 for every r", 0),
        ("stopping=SaidRaises", "SaidRaises.said raised ZeroDivisionError: division by zero (own_saidraises.py, l", 0),
        ("stopping=SaidRaisesLater", "SaidRaisesLater.said raised IndexError: list index out of range (own_saidr", 2),
        (
            "stopping=EndedRaises",
            "EndedRaises.ended raised ValueError: 1.0 is not in list (own_endedraises.py, line",
            0,
        ),
        ("stopping=EndedRaisesLater", "EndedRaisesLater.ended raised KeyError: 2 (own_endedraiseslater.py, line ", 2),
        ("stopping=EndedSays", "EndedSays.ended gives False; it must give the recorded round that ends the run, co", 0),
        (
            "stopping=SaidShort",
            "SaidShort.said can't be called as the run calls it; write def said(self, kappas, un",
            0,
        ),
        (
            "features=NoFeatures",
            "features= makes a NoFeatures, which has no features; derive its class from Features",
            0,
        ),
        (
            "features=NoIdentity",
            "NoIdentity does not say what its features depend on; write def identity(self, data)",
            0,
        ),
        ("features=NoExtractor", "NoExtractor makes no features; write def extractor(self, data, device)", 0),
        ("features=NoneExtractor", "NoneExtractor.extractor gives NoneType; it must give a function from images", 0),
        (
            "features=TensorIdentity",
            "TensorIdentity.identity: Object of type Tensor is not JSON serializable; it mus",
            0,
        ),
        ("features=NoneIdentity", "NoneIdentity.identity: gives NoneType; it must give a dict of words and numbers", 0),
        ("features=Uneven", "the images from 1792 on have 5 features each, those before 64; every image must have", 0),
        ("learner=OneFit", "trained takes a list of fits and gives a list; write (await trained([fit]))[0]", 0),
    ],
    ids=str,
)
def test_it_is_named_in_one_line(al_run: Command, tmp_path: Path, word: str, line: str, rounds: int) -> None:
    code, output = al_run(*words(tmp_path, word))
    assert (code, "Traceback" in output) == (1, False)
    assert line in output.splitlines()[-1]
    assert recorded(tmp_path) == rounds


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("_target_: torch.nn.Flatten, _partial_: true", "turns images [2, 1, 8, 8] into [2, 64]; keep the shape"),
        ("_target_: torch.nn.Linear, _partial_: true", "it makes a layer from images to images, and its YAML has _par"),
        ("_target_: torch.nn.Identity", "it makes a layer from images to images, and its YAML has _partial_: true"),
    ],
)
def test_an_augmentation_keeps_the_shape(al_run: Command, tmp_path: Path, options: str, line: str) -> None:
    code, output = al_run(f"training.augment={{{options}}}", "strategy=random", *QUICK, f"results={tmp_path}")
    assert (code, "Traceback" in output) == (1, False)
    assert "training.augment of training=adam_short" in output and line in output.splitlines()[-1]
    assert recorded(tmp_path) == 0


@pytest.mark.parametrize(
    ("option", "line"),
    [
        (
            "schedule={_target_: own_parts.TwoArguments}",
            "can't be called as the run calls it; write def __call__(self, s",
        ),
        ("schedule={_target_: own_parts.Word}", "gives 'fast' for step 0; it must give a number of 0 or more"),
        ("schedule={_target_: own_parts.EndsNaN}", "gives nan for step 1; it must give a number of 0 or more"),
        (
            "schedule={_target_: own_parts.NoWhole}",
            "is a NoWhole; it must be a part with `whole` and `__call__(step, p",
        ),
        ("init={_target_: own_parts.no_such_layer, _partial_: true}", "has no attribute 'missing'; it takes a net and"),
        (
            "init={_target_: own_parts.needs_more, _partial_: true}",
            "missing 1 required positional argument: 'more'; it",
        ),
    ],
)
def test_a_recipes_own_parts_are_checked(al_run: Command, tmp_path: Path, option: str, line: str) -> None:
    mine = tmp_path / "mine"
    (mine / "training").mkdir(parents=True)
    (mine / "own_parts.py").write_text(MODULE)
    optimiser = "optimizer: {_target_: torch.optim.Adam, _partial_: true, lr: 0.001}"
    recipe = ["_target_: al_runner.training.Recipe", optimiser, "check_every: 8", "max_checks: 100"]
    (mine / "training" / "own.yaml").write_text("\n".join([*recipe, option.replace("=", ": ", 1), ""]))
    code, output = al_run(
        *QUICK, "--config-dir", str(mine), "training=own", "strategy=random", f"results={tmp_path / 'results'}"
    )
    assert (code, "Traceback" in output) == (1, False)
    last = output.splitlines()[-1]
    assert f"training.{option.partition('=')[0]}" in last and line in last
    assert recorded(tmp_path) == 0


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("NoOptimizer", "training.optimizer of training=own makes a NoOptimizer, which is no torch.optim.Optim"),
        ("NoStep", "training.optimizer of training=own: NoStep.step() raised NotImplementedError"),
        ("StepOfClosure", "StepOfClosure.step() missing 1 required positional argument: 'closure'); it is called with"),
    ],
)
def test_an_optimiser_must_take_a_step(al_run: Command, tmp_path: Path, kind: str, line: str) -> None:
    mine = tmp_path / "mine"
    (mine / "training").mkdir(parents=True)
    (mine / "own_optimisers.py").write_text(MODULE)
    recipe = ["_target_: al_runner.training.Recipe", "check_every: 8", "max_checks: 100"]
    recipe.append(f"optimizer: {{_target_: own_optimisers.{kind}, _partial_: true, lr: 0.1}}")
    (mine / "training" / "own.yaml").write_text("\n".join([*recipe, ""]))
    code, output = al_run("--config-dir", str(mine), *QUICK, "training=own", f"results={tmp_path / 'results'}")
    assert (code, "Traceback" in output) == (1, False)
    assert line in output.splitlines()[-1]
    assert recorded(tmp_path) == 0


def test_own_features_are_made_again_when_their_module_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, device = toy.data_set(), torch.device("cpu")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = []
    for number, factor in enumerate((1, 2, 2)):
        folder = tmp_path / str(number)
        folder.mkdir()
        body = (
            MODULE
            + f"""
class Scaled(Identity):
    def extractor(self, data, device): return lambda x: {factor} * x.float().flatten(1)
"""
        )
        (folder / "own_features.py").write_text(body)
        monkeypatch.syspath_prepend(str(folder))
        sys.modules.pop("own_features", None)
        made = importlib.import_module("own_features").Scaled()
        found.append(made.apply(data, tmp_path, device).images.flatten(1))
    assert torch.equal(found[1], 2 * found[0])
    assert torch.equal(found[2], found[1])
    assert len([*(tmp_path / "features").glob("*.npy")]) == 2  # the third took the file of the second


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("NoClose", "logger=own: NoClose.close can't be called as the run calls it; write def close(self, whole)"),
        ("NoFolder", "a logger is made with folder= and settings=, and its YAML has _partial_: true"),
    ],
)
def test_a_logger_is_checked_before_the_first_round(al_run: Command, tmp_path: Path, kind: str, line: str) -> None:
    command = words(tmp_path, f"logger={kind}")
    with (tmp_path / "mine" / "logger" / "own.yaml").open("a") as file:
        file.write("_partial_: true\n")
    code, output = al_run(*command, "strategy=random")
    assert (code, "Traceback" in output) == (1, False)
    assert line in output.splitlines()[-1]
    assert recorded(tmp_path) == 0


def test_a_module_with_the_name_of_pythons_own_is_told(al_run: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sched.py").write_text(MODULE)
    target = "strategy._target_=sched.NaN"
    code, output = al_run("--config-dir", str(tmp_path / "mine"), target, *QUICK, f"results={tmp_path / 'results'}")
    assert code == 1
    assert "sched is a module of Python's own library, which hides a file of that name; call yours" in output


def test_an_error_of_its_own_is_shown_with_its_trace_and_what_became_of_the_run(
    al_run: Command, tmp_path: Path
) -> None:
    with pytest.raises(KeyError, match="mine") as caught:
        al_run(*words(tmp_path, "strategy=Raises"))
    assert caught.value.__notes__ == [
        "This ended round 1. Every earlier round is kept; the same command goes on there."
    ]
    assert recorded(tmp_path) == 1


def words(folder: Path, word: str) -> list[str]:
    """The command for a short run with the class that a word names."""
    group, _, kind = word.partition("=")
    (folder / "mine" / group).mkdir(parents=True)
    module = f"own_{kind.lower()}"
    (folder / "mine" / f"{module}.py").write_text(MODULE)
    choice = "own_part" if group == "features" else "own"  # features=own is al-runner's
    (folder / "mine" / group / f"{choice}.yaml").write_text(
        f"_target_: {module}.{kind}\n{'_partial_: true' * (group == 'model')}\n"
    )
    chosen = [f"{group}={choice}", *["strategy=random"] * (group in ("learner", "model", "stopping", "features"))]
    chosen += ["model=linear_probe", f"data_root={folder / 'data'}"] if group == "features" else []
    return ["--config-dir", str(folder / "mine"), *QUICK, *chosen, f"results={folder / 'results'}"]


def recorded(folder: Path) -> int:
    """How many rounds the run in the folder has recorded."""
    files = [*folder.rglob("rounds.csv")]
    return len(files[0].read_text().splitlines()) - 1 if files else 0
