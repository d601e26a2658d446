"""Command lines at random: each is carried out or refused, without a traceback, a hang, or an effect elsewhere."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from faults import Child, times
from omegaconf import DictConfig, OmegaConf

from al_runner.settings.groups import conf_dir

QUICK = ["model=usps_cnn", "budget.max_rounds=1", "training.max_checks=1", "training.check_every=1", "strategy=random"]
PATIENCE = 60  # seconds that a command may take; one that trains for longer must then end by a signal
VALUES = (
    "", "0", "1", "2", "-1", "0.5", "1e-9", "1e400", "nan", "inf", "-inf", "null", "true", "x",
    "''", '"', "'", "[", "]",
    "[1,2]", "[[[[1]]]]", "{}", "{a:1}", "{a:{b:[c]}}", "{_target_:os.getcwd}", "${seed}", "${nothing}", "${seed",
    "${oc.env:NOTHING}", "${oc.env:HOME}", "???", "=", "a=b", ",", "1,", "1,2", "range(3)",
    "glob(*)", "choice(1,2)",
    "99999999999999999999999", "9" * 400, "1_000", "0x10", "1e5", "a b", "a\tb", "a\nb", "\x1b[2J",
    "\u202e", "\u4e00" * 20, "~",
    "../../x", "/nowhere/x", "-", "--", "+", "@", "%", "*", "\\", "#", "!!python/name:os.system",
    "x" * 3000, "[" * 200,
)  # fmt: skip
ODD = (
    "strategy=random, uncertainty", "--strategy random", "strategy random", "+foo=3",
    "++foo.bar=3", "~strategy", "~seed",
    "budget.qurey=40", "strategy=rnadom", "dataset=", "=", "==", "seed", "-", "--", "-x",
    "--cfg=job", "--help", "--info",
    "--version", "--resolve", "--package=x", "-c", "-p", "-h", "--config-dir=/nowhere",
    "--config-name=nothing", "-cd", "-cp=x",
    "hydra.run.dir=x", "hydra/launcher=lockstep", "hydra/launcher=nothing", "hydra.verbose=true",
    "hydra.job.chdir=true",
    "hydra.sweep.subdir=x", "experiment=nothing", "+experiment=usps", "logger=tensorboard",
    "hydra.searchpath=[x]", "@x=1",
    "strategy@strategy=random", "dataset@x=digits", "model/model=x",
    "training.optimizer._target_=torch.optim.Nothing",
    "model._target_=nothing.at.all", "strategy._target_=random", "learner._target_=al_runner",
    "seed=1 seed=2", "\udcff=1",
)  # fmt: skip

ONCE = (  # each ended in a traceback, or steered the terminal
    ["experiment.learner.first.optimizer=-1"],
    ["strategy.uncertain.one_sample={a:1}"],
    ["budget=-1"],
    ["learner=true", "device=1"],
    ["dataset.images=1", "pool=1,2", "-m", "hydra/launcher=basic"],
    ["strategy.of._target_=\x1b[2J"],
)


def keys() -> list[str]:
    """Options and groups of the configuration."""
    groups = {file.parent.name: file.parent for file in conf_dir().glob("*/*.yaml") if file.parent.name != "hydra"}
    held = [*groups]
    for group, folder in groups.items():
        for file in folder.glob("*.yaml"):
            held += [f"{group}.{key}" for key in flat(OmegaConf.load(file))]
    return sorted({*held, *flat(OmegaConf.load(conf_dir() / "config.yaml"))} - {"results", "data_root"})


def flat(config: object, before: str = "") -> list[str]:
    if not isinstance(config, DictConfig):
        return []
    plain = [(str(key), config._get_node(key)) for key in config if str(key) not in ("defaults", "hydra")]
    return [name for key, node in plain for name in (f"{before}{key}", *flat(node, f"{before}{key}."))]


def command_line(rng: random.Random, names: list[str]) -> list[str]:
    """One to four words, most of them an option with a strange value."""
    words = []
    for _ in range(rng.randint(1, 4)):
        if rng.random() < 0.3:
            words.append(rng.choice(ODD))
        else:
            words.append(f"{rng.choice(['', '', '', '', '+', '++', '~'])}{rng.choice(names)}={rng.choice(VALUES)}")
    return [*QUICK, *words, *(["-m", "hydra/launcher=basic"] if rng.random() < 0.2 else [])]


def ended(child: Child) -> int:
    """Its exit code; it is told to end, and to end at once, where it trains for long."""
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        os.kill(child.pid, number)
    return child.wait()


def test_no_command_line_ends_in_a_traceback_or_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    here, home, names = tmp_path / "here", tmp_path / "home", keys()
    rng = random.Random(int(os.environ.get("AL_SEED", "0")))
    here.mkdir()
    home.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("AL_DATA", raising=False)
    lines = [*([*QUICK, *words] for words in ONCE), *(command_line(rng, names) for _ in range(times(12, 500)))]
    tried, codes, faults = len(lines), dict[int, int](), list[str]()
    for number, words in enumerate(lines):
        log = tmp_path / "logs" / f"{number}"
        code = ended(Child([f"results={here / 'results'}", *words], log))
        said = log.read_text(errors="replace")
        codes[code] = codes.get(code, 0) + 1
        if code not in (0, 1, 2, 143) or "Traceback" in said or "\x1b[2J" in said:
            faults.append(f"{words!r} ended with {code}: {said[-600:]}")
        if {file.name for file in tmp_path.iterdir()} != {"here", "home", "logs"}:
            faults.append(f"{words!r} left {sorted(tmp_path.iterdir())}")
    assert not faults, "\n\n".join(faults)
    record_property("random command lines", f"{tried} tried, {tried} carried out or refused; exit codes {codes}")
