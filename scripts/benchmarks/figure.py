"""A tenth of figure 2 of Ducoffe & Precioso (2017), whole sweeps by the clock.

USPS, 16 rounds of its 157, four strategies: job after job with a DataLoader loop in one process (the same net, order,
stopping rule, strategies and measurements), then al-run -m with Hydra's basic launcher, with processes and in
lock-step, start-up included. Equal results first: on a CPU the three launchers leave the same rows; the DataLoader
loop's mean error stands beside theirs, since its float32 rounding is another.
"""

import csv
import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from time import perf_counter

import torch
from dataloader import plain_net, train
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from paired import device_name

import al_runner.main  # noqa: F401 - registers the resolvers of conf/
from al_runner.engine.drive import Engine, drive
from al_runner.job.build import build
from al_runner.models.inputs import channel_statistics
from al_runner.record.run import RunRecord
from al_runner.settings.groups import conf_dir

ROUNDS = 16
STRATEGIES = ("random", "uncertainty", "curriculum", "kfac_vfe_eq19")
LAUNCHERS = ("basic", "processes", "lockstep")
Rows = dict[str, list[dict[str, str]]]


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(arguments.seeds)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"torch {torch.__version__}, {device_name(device)}, {os.cpu_count()} CPU cores, {len(seeds)} seeds")
    print(f"{'':<28} {'seconds':>8} {'x DataLoader':>13} {'mean test error %':>18}")
    with TemporaryDirectory() as folder:
        base, found = by_loop(Path(folder) / "loop", seeds, device)
        line("DataLoader loop", base, base, found)
        results: dict[str, Rows] = {}
        for launcher in LAUNCHERS:
            seconds, results[launcher] = by_launcher(launcher, Path(folder) / launcher, seeds)
            line(f"al-run, {launcher}", seconds, base, results[launcher])
        require_equal(results, device)


def line(name: str, seconds: float, base: float, rows: Rows) -> None:
    errors = [100 * float(row["test_error"]) for run in rows.values() for row in run]
    print(f"{name:<28} {seconds:8.1f} {base / seconds:13.2f} {mean(errors):18.3f}", flush=True)


def options(seed: str, strategy: str, results: Path) -> list[str]:
    rounds = f"budget.max_rounds={ROUNDS - 1}"
    return ["experiment=ducoffe2017_figure2", rounds, f"seed={seed}", f"strategy={strategy}", f"results={results}"]


def by_loop(results: Path, seeds: range, device: torch.device) -> tuple[float, Rows]:
    """Seconds, and rows by run, of the DataLoader loop."""
    start = perf_counter()
    for strategy in STRATEGIES:
        for seed in seeds:
            with initialize_config_dir(str(conf_dir()), version_base="1.3"):
                cfg = compose("config", options(str(seed), strategy, results), return_hydra_config=True)
            HydraConfig.instance().set_config(cfg)
            experiment = build(cfg, device)
            scale = [statistic.item() / 255 for statistic in channel_statistics(experiment.data)]
            folder = results / strategy / f"seed{seed}"
            folder.mkdir(parents=True)
            record = RunRecord(folder)
            record.settle()
            drive(experiment.run(record), loop(cfg.model.pool, cfg.model.hidden, device, *scale))
    return perf_counter() - start, rows(results)


def loop(pool: Sequence[bool], hidden: Sequence[int], device: torch.device, mean: float, std: float) -> Engine:
    """The DataLoader loop as an engine."""
    return lambda fits: [train(fit, plain_net(16, pool, hidden).to(device), mean, std) for fit in fits]


def by_launcher(launcher: str, results: Path, seeds: range) -> tuple[float, Rows]:
    """Seconds, and rows by run, of a sweep."""
    seed, strategy = ",".join(map(str, seeds)), ",".join(STRATEGIES)
    command = [sys.executable, "-m", "al_runner.main", "-m", f"hydra/launcher={launcher}"]
    start = perf_counter()
    subprocess.run([*command, *options(seed, strategy, results)], check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - start, rows(results)


def rows(results: Path) -> Rows:
    """Every run's rows without their times, by strategy and seed."""
    return {
        "/".join(file.parts[-3:-1]): [
            {key: value for key, value in row.items() if not key.endswith(("seconds", "joules"))}
            for row in csv.DictReader(file.open())
        ]
        for file in sorted(results.rglob("rounds.csv"))
    }


def require_equal(results: dict[str, Rows], device: torch.device) -> None:
    basic = results["basic"]
    for launcher, found in results.items():
        same = found.keys() == basic.keys() if device.type == "cuda" else found == basic
        if not same or len(found) == 0:
            raise SystemExit(f"{launcher} left other rows than basic")


if __name__ == "__main__":
    main()
