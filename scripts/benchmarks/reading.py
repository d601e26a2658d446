"""The commands that read results, on 2,000 runs: 10 data sets, 10 strategies, 20 seeds, 20 rounds; processor seconds.

    python scripts/benchmarks/reading.py [--seeds 2] [--against DIR]

The runs are made in a temporary folder, with errors that fall and scatter. Each command is a process of its own, one
thread, and is timed with its start. `--against` takes a checkout of an earlier version (git worktree add DIR bb75610):
its commands are timed in turn with ours, twice, the lesser time counts. Goal: a third of what version 0.1 (bb75610)
takes.
"""

import os
import resource
import subprocess
import sys
import tomllib
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from paired import device_name

from al_runner.record.state import DONE, State, write

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "support"))

from made_runs import make_run

HERE = Path(__file__).parents[2]
STRATEGIES = ("random", "entropy", "margin", "bald", "badge", "core_set", "kfac_vfe", "egl", "bait", "epig")
ROUNDS = 20


def make(root: Path, datasets: int, seeds: int) -> None:
    """The finished runs of a sweep."""
    rng = np.random.default_rng(0)
    for place in range(datasets):
        for strategy in STRATEGIES:
            for seed in range(seeds):
                errors = np.clip(0.6 * 0.9 ** np.arange(ROUNDS) + rng.normal(0, 0.01, ROUNDS), 0.001, 1)
                folder = make_run(root, strategy, seed, errors.round(4).tolist(), dataset=f"data{place}")
                state = State(DONE, (f"strategy={strategy}", f"seed={seed}"), str(root))
                write(folder, state.now(DONE, rounds=ROUNDS))


def seconds(checkout: Path, command: str, folder: str) -> float:
    """The processor time of a command of that checkout."""
    script = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]["scripts"][command]
    module, function = script.split(":")
    code = f"import sys; from {module} import {function}; sys.exit({function}())"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(checkout)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", code, folder], check=True, stdout=subprocess.DEVNULL, env=environment, cwd=folder
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--datasets", type=int, default=10)
    parser.add_argument("--against", type=Path)
    options = parser.parse_args()
    checkouts = [HERE, options.against] if options.against else [HERE]
    print(device_name(torch.device("cpu")))
    with TemporaryDirectory() as folder:
        make(Path(folder), options.datasets, options.seeds)
        for command in ("al-status", "al-plot", "al-compare"):
            times = [[seconds(checkout, command, folder) for checkout in checkouts] for _ in checkouts]
            ours, *others = map(min, zip(*times, strict=True))
            ratio = "".join(f"; {other:.1f} s before: {other / ours:.2f} times as fast" for other in others)
            print(f"{command}: {ours:.1f} s{ratio}", flush=True)


if __name__ == "__main__":
    main()
