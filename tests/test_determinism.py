"""The same command gives the same bytes, but for the columns of seconds and joules."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import configs
import pytest
import torch
import toy
from hydra.utils import instantiate
from recorded import untimed

from al_runner.errors import UsageError
from al_runner.learners.dropout import Dropout
from al_runner.learners.plain import Plain
from al_runner.models.inputs import net_builder
from al_runner.types import Learner

QUICK = ["model=usps_cnn", "budget.max_rounds=2", "training.max_checks=2", "training.check_every=5", "budget.query=4"]
DROPOUT = ["model=gal2017_cnn", "learner=dropout"]


BUILD = net_builder(toy.data_set(), toy.model)


def takes_ten_classes(name: str) -> bool:
    """Whether the strategy accepts more than two classes, as the sweep's data set has."""
    try:
        instantiate(configs.composed(f"strategy={name}").strategy).check(BUILD().eval(), toy.data_set().images[:2])
    except UsageError as error:
        return "between two classes" not in str(error)
    return True


def accepted(names: list[str], learner: Callable[..., Learner]) -> list[str]:
    """The strategies that take a learner."""
    taken = []
    for name in names:
        strategy = instantiate(configs.composed(f"strategy={name}").strategy)
        with suppress(UsageError):
            strategy.check_learner(strategy.wrap(learner(BUILD, toy.recipe())))
            taken.append(name)
    return taken


STRATEGIES = [name for name in configs.strategies() if takes_ten_classes(name)]
SINGLE = accepted(STRATEGIES, Plain)
SAMPLED = accepted([name for name in STRATEGIES if name not in SINGLE], partial(Dropout, samples=2))
CONSISTENT = [name for name in STRATEGIES if name not in (*SINGLE, *SAMPLED)]
CASES = {  # sweeps: strategies and options
    "a net": ([name for name in SINGLE if name not in configs.QUICKER], []),
    **{name: ([name], [*configs.QUICKER[name]]) for name in SINGLE if name in configs.QUICKER},
    "posterior samples": (SAMPLED, DROPOUT),
    "consistent samples": (CONSISTENT, [*DROPOUT, "learner.shared_masks=true"]),
}


PROGRAM = """
import json, sys
from al_runner.main import main

for words in json.loads(sys.argv[1]):
    sys.argv = ["al-run", *words]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""


def made(results: Path, cases: dict[str, tuple[list[str], list[str]]], *more: str) -> dict[str, dict[str, Path]]:
    """The folders of one sweep over strategies a case, by case and strategy; all in one new process."""
    sweep = ["-m", "hydra/launcher=basic", *QUICK]
    sweeps = [
        [*sweep, f"strategy={','.join(names)}", f"results={results / case}", *words, *more]
        for case, (names, words) in cases.items()
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, json.dumps(sweeps)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {
        case: {file.parents[1].name: file.parent for file in (results / case).rglob("rounds.csv")} for case in cases
    }


def test_the_same_command_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """Every strategy there is; the second time under another hash seed and with torch's deterministic algorithms."""
    once, twice = made(tmp_path / "a", CASES), made(tmp_path / "b", CASES, "deterministic=true")
    for case, (names, _) in CASES.items():
        assert set(once[case]) == set(twice[case]) == set(names)
        for name in names:
            a, b = once[case][name], twice[case][name]
            for table in ("acquired.csv", *(["predicted.csv"] if name != "full" else [])):
                assert (a / table).read_bytes() == (b / table).read_bytes(), (case, name)
            assert untimed(a) == untimed(b), (case, name)
            for folder in (a, b):
                (start,) = json.loads((folder / "provenance.json").read_text())
                assert len(start["device"]) > len("cpu: ")  # its name stands in every record


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("launcher", ["basic", "lockstep"])
def test_deterministic_gives_the_same_bytes_on_a_gpu(tmp_path: Path, launcher: str) -> None:
    words = ["device=cuda", "deterministic=true", f"hydra/launcher={launcher}"]
    once, twice = (made(tmp_path / part, {"a net": (SINGLE, words)})["a net"] for part in "ab")
    assert {name: untimed(folder) for name, folder in once.items()} == {n: untimed(f) for n, f in twice.items()}
