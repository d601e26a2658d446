"""A strategy of another project is two files: no file of this package changes, and the same contract holds."""

import sys
from pathlib import Path

import configs
import pytest
from hydra.utils import instantiate

from al_runner.errors import UsageError
from al_runner.learners.ensemble import Ensemble
from al_runner.learners.harmonic import Harmonic
from al_runner.learners.plain import Plain
from al_runner.needs import Needs
from al_runner.strategies.base import Strategy
from al_runner.testing import ContractError, check_strategy
from al_runner.testing.case import BUILD, cases
from al_runner.testing.toy import recipe
from al_runner.types import Learner

MODULE = '''
from dataclasses import dataclass

import torch

from al_runner.needs import Needs
from al_runner.pool import top
from al_runner.strategies.base import ByScore, Strategy
from al_runner.types import mean_log_probs


@dataclass(frozen=True)
class Lottery(Strategy):
    """Draws from the less certain half of the candidates."""

    draws = True

    def select(self, fitted, pool, n, rng):
        ids = pool.candidates_by_id
        sure = mean_log_probs(fitted.log_probs(pool.x(ids))).amax(1)
        some = ids[top(-sure, max(n, len(ids) // 2))]
        return some[torch.randperm(len(some), generator=rng)[:n]]


@dataclass(frozen=True)
class Range(ByScore):
    """The largest difference between two samples."""

    needs = Needs(samples=True)

    def scores(self, fitted, pool, ids, rng):
        p = fitted.log_probs(pool.x(ids)).double().exp()
        scores = (p.amax(1) - p.amin(1)).amax(1)
        if not scores.isfinite().all():
            raise ArithmeticError("a range is NaN")
        return scores


@dataclass(frozen=True)
class Joint(Range):
    needs = Needs(consistent=True)


@dataclass(frozen=True)
class Length(ByScore):
    """The length of an image's features."""

    needs = Needs(features=True)

    def scores(self, fitted, pool, ids, rng):
        lengths = fitted.features(pool.x(ids)).double().norm(dim=1)
        if not lengths.isfinite().all():
            raise ArithmeticError("a length is NaN")
        return lengths


@dataclass(frozen=True)
class Bias(ByScore):
    """The last layer's bias of the predicted class."""

    needs = Needs(network=True)

    def scores(self, fitted, pool, ids, rng):
        logits = fitted.network()(pool.x(ids)).detach().double()
        if not logits.isfinite().all():
            raise ArithmeticError("a logit is NaN")
        return list(fitted.network().parameters())[-1].detach().double()[logits.argmax(1)] + logits.amax(1)
'''


CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for --config-dir, which Hydra searches, and a module next to it."""
    (tmp_path / "strategy").mkdir()
    (tmp_path / "outside_strategies.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "outside_strategies", raising=False)
    return tmp_path


def built(folder: Path, name: str) -> Strategy:
    (folder / "strategy" / f"{name}.yaml").write_text(f"_target_: outside_strategies.{name}\n")
    cfg = configs.composed(f"strategy={name}", f"hydra.searchpath=[file://{folder}]")
    strategy: Strategy = instantiate(cfg.strategy)
    return strategy


@pytest.mark.parametrize(
    ("name", "learners"),
    [
        ("Lottery", ["plain"]),
        ("Range", ["ensemble", "dropout"]),
        ("Joint", ["ensemble", "dropout"]),
        ("Length", ["plain"]),
        ("Bias", ["plain"]),
    ],
)
def test_a_strategy_of_every_kind_fulfils_the_contract(outside: Path, name: str, learners: list[str]) -> None:
    strategy = built(outside, name)
    assert [case.learner for case in cases(strategy)] == learners
    check_strategy(strategy)


def test_the_example_in_contributing_md_fulfils_the_contract(outside: Path) -> None:
    (outside / "outside_strategies.py").write_text(
        CONTRIBUTING.read_text().partition("```python\n")[2].partition("```")[0]
    )
    check_strategy(built(outside, "Density"))


def test_a_learner_that_does_not_give_what_it_needs_is_refused(outside: Path) -> None:
    plain, ensemble = Plain(BUILD, recipe()), Ensemble(BUILD, recipe())
    with pytest.raises(UsageError, match=r"Range needs several posterior samples; use learner=dropout, ensemble"):
        built(outside, "Range").check_learner(plain)
    with pytest.raises(UsageError, match=r"Bias needs one net's own weights.* use learner=plain"):
        built(outside, "Bias").check_learner(ensemble)
    built(outside, "Length").check_learner(ensemble)


WRONG = {  # a line of MODULE: what replaces it, and what the error then says
    "draws = True": ("draws = False", "declares draws=False"),
    "needs = Needs(features=True)": ("", r"declare needs = Needs\(features=True\)"),
    "needs = Needs(network=True)": ("", r"declare needs = Needs\(network=True\)"),
    "return some[torch.randperm(len(some), generator=rng)[:n]]": (
        "return torch.randperm(len(some), generator=rng)[:n]",
        r"not ids in pool\.candidates",
    ),
    "some = ids[top(-sure, max(n, len(ids) // 2))]": ("return ids[top(-sure, n)]", "declares draws=True"),
    'raise ArithmeticError("a length is NaN")': ("lengths = lengths.nan_to_num()", "raise ArithmeticError"),
    "lengths = fitted.features(pool.x(ids)).double().norm(dim=1)": (
        "lengths = fitted.features(pool.x(ids)).double().norm(dim=1) + torch.rand(len(ids))",
        "the same random stream gave",
    ),
    'raise ArithmeticError("a logit is NaN")': ('raise ArithmeticError("a logit is odd")', "does not mention NaN"),
    "logits = fitted.network()(pool.x(ids)).detach().double()": (
        "logits = fitted.network()(pool.x(ids)); logits.sum().backward(); logits = logits.detach().double()",
        "left gradients behind",
    ),
    "return scores\n": ("return scores + torch.arange(len(ids))\n", "candidates in another order"),
}


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("None", "returned NoneType"),
        ("some[:n].float()", r"returned ids of type torch\.float32"),
        ("some[:n, None]", "returned ids of shape"),
        ("[str(int(id_)) for id_ in some[:n]]", "returned list"),
    ],
)
def test_what_is_no_list_of_ids_is_named(outside: Path, end: str, said: str) -> None:
    line = "return some[torch.randperm(len(some), generator=rng)[:n]]"
    (outside / "outside_strategies.py").write_text(MODULE.replace(line, f"return {end}"))
    with pytest.raises(ContractError, match=said):
        check_strategy(built(outside, "Lottery"))


def test_ids_in_a_list_and_scores_in_an_array_fulfil_the_contract(outside: Path) -> None:
    line = "return some[torch.randperm(len(some), generator=rng)[:n]]"
    changed = MODULE.replace(line, line.replace("[:n]]", "[:n]].tolist()")).replace(
        "return lengths", "return lengths.numpy()"
    )
    (outside / "outside_strategies.py").write_text(changed)
    check_strategy(built(outside, "Lottery"))
    check_strategy(built(outside, "Length"))


@pytest.mark.parametrize(
    ("end", "check", "said"),
    [
        ("return lengths * float('nan')", "chooses distinct candidates", "gave a score that is NaN"),
        ("return lengths / (lengths - lengths.min())", "", ""),  # infinite: an image that comes first
        ("1 // 0", "chooses distinct candidates", "ZeroDivisionError"),
        (
            "return (lengths - lengths.mean()) / lengths.std()",
            "repeats its choice",
            "gave a score that is NaN",
        ),  # equal
    ],
)
def test_scores_that_are_nan_fail_the_check_that_met_them(outside: Path, end: str, check: str, said: str) -> None:
    assert MODULE.count("return lengths") == 1
    (outside / "outside_strategies.py").write_text(MODULE.replace("return lengths", end))
    strategy = built(outside, "Length")
    if not said:
        check_strategy(strategy)
        return
    with pytest.raises(ContractError, match=said) as error:
        check_strategy(strategy)
    assert str(error.value).startswith(f"Length with learner=plain: {check}: with a sound net it raised ")
    assert isinstance(error.value.__cause__, ArithmeticError)


@pytest.mark.parametrize("line", WRONG, ids=range(len(WRONG)))
def test_what_breaks_the_contract_is_named(outside: Path, line: str) -> None:
    wrong, said = WRONG[line]
    assert MODULE.count(line) == 1
    name = MODULE[: MODULE.index(line)].rpartition("class ")[2].partition("(")[0]
    (outside / "outside_strategies.py").write_text(MODULE.replace(line, wrong or "pass"))
    with pytest.raises(ContractError, match=said) as error:
        check_strategy(built(outside, name))
    assert str(error.value).startswith(f"{name} with learner=")


def test_labels_that_were_not_bought_cannot_be_read(outside: Path) -> None:
    line = "lengths = fitted.features(pool.x(ids)).double().norm(dim=1)"
    (outside / "outside_strategies.py").write_text(MODULE.replace(line, "lengths = pool.y(ids).double()"))
    with pytest.raises(ValueError, match="but it was not bought"):
        check_strategy(built(outside, "Length"))


def test_a_strategy_that_accepts_no_learner_is_named() -> None:
    class Impossible(Strategy):
        needs = Needs(network=True)

        def wrap(self, learner: Learner) -> Learner:
            return Harmonic(BUILD, length_scale=30)

    with pytest.raises(UsageError, match="Impossible accepts none of the learners plain, ensemble, dropout"):
        check_strategy(Impossible())
