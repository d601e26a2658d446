"""One run, from its configuration to its last row."""

import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import NonFiniteLoss
from al_runner.errors import UsageError
from al_runner.loop import Experiment
from al_runner.models.inputs import net_builder
from al_runner.records import RunFolder, provenance

log = logging.getLogger(__name__)

# Where a run happens does not change what it is: these may differ when it is resumed.
PLACE = ("data_root", "results", "device", "threads", "overwrite", "name")


def run_job(cfg: DictConfig) -> None:
    """Run or resume the job of `cfg` in Hydra's output folder; UsageError where the user must mend something."""
    hydra = HydraConfig.get()
    sweep = hydra.mode is RunMode.MULTIRUN
    folder = Path(hydra.runtime.output_dir)
    torch.set_num_threads(cfg.threads)
    label = f"{cfg.run.dataset} {cfg.run.strategy}{'-' if cfg.name else ''}{cfg.name} seed {cfg.seed}"
    try:
        with FileLock(folder / ".lock", timeout=0):
            picture = run_in(folder, cfg, label, torch_device(cfg.device, hydra.job.num if sweep else 0), not sweep)
    except Timeout:
        raise UsageError(f"{folder} is in use by another process; wait for it, or choose another name=") from None
    except Exception:
        if sweep:  # the launcher names the error at the end; the trace belongs in the job's log
            log.exception("%s failed", label)
        raise
    if picture:
        log.info("Results: %s\nPicture: %s", os.path.relpath(folder), os.path.relpath(picture))


def run_in(folder: Path, cfg: DictConfig, label: str, device: torch.device, draw: bool) -> Path | None:
    """Carry the run out in its own folder; the path of its picture if one is to be drawn."""
    experiment = build(cfg, device)
    settings = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    config = {key: value for key, value in settings.items() if key not in PLACE}
    rounds = len(experiment.purchases)
    record = RunFolder(folder, config, cfg.overwrite, partial(announce, label, rounds))
    record.require_labels(experiment.data.labels)
    if len(record.rows) == rounds:
        log.info("%s | finished already, nothing to do (overwrite=true starts anew)", label)
    else:
        if record.rows:
            log.info("%s | resumed after round %d of %d", label, len(record.rows) - 1, rounds - 1)
        record.add_provenance(provenance(device, cfg.seed))
        carry_out(experiment, record)
    if not draw:
        return None
    from al_runner.analysis import draw_run  # noqa: PLC0415 - matplotlib, which a sweep's jobs do not need

    return draw_run(folder)


def carry_out(experiment: Experiment, record: RunFolder) -> None:
    """Every round that is still to come; UsageError at a loss that is not finite."""
    try:
        drive(experiment.run(record))
    except NonFiniteLoss as error:
        raise UsageError(
            f"round {len(record.rows)}: {error}; lower training.optimizer.lr (every earlier round is kept)"
        ) from error


def build(cfg: DictConfig, device: torch.device) -> Experiment:
    """Every part of the run, checked against each other before any training."""
    if cfg.seed < 0:
        raise UsageError(f"seed is {cfg.seed}; it must be 0 or more")
    strategy, budget = instantiate(cfg.strategy), instantiate(cfg.budget)
    data = instantiate(cfg.dataset, data_root=str(Path(cfg.data_root).expanduser())).to(device)
    builder = net_builder(data, instantiate(cfg.model))
    experiment = Experiment(data, instantiate(cfg.learner, build=builder), strategy, budget, cfg.seed)
    _ = experiment.purchases
    strategy.check(checked_net(cfg, builder))
    return experiment


def checked_net(cfg: DictConfig, builder: Callable[[], nn.Module]) -> nn.Module:
    """A net of the kind to be trained; UsageError where model or optimiser do not take their options."""
    try:
        net = builder()
        instantiate(cfg.training.optimizer)(net.parameters())
    except (TypeError, ValueError) as error:
        raise UsageError(f"model={cfg.run.model} or training={cfg.run.training}: {error}") from error
    return net


def torch_device(name: str, job: int) -> torch.device:
    """The device of a job, the jobs of a sweep spread over the GPUs; UsageError where there is none of that name."""
    cuda = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if cuda else "cpu"
    if name == "cuda" and cuda:
        return torch.device("cuda", job % torch.cuda.device_count())
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        found = torch.cuda.device_count()
        raise UsageError(
            f"device={name} can't be used here (CUDA devices that torch {torch.__version__} sees: {found}); "
            "use device=cpu or device=auto, or install a build of torch for that device"
        ) from error
    return torch.device(name)


def announce(label: str, rounds: int, row: Mapping[str, Any]) -> None:
    """One line a round."""
    select = f"{row['select_seconds']:6.2f} s" if row["select_seconds"] != "" else "       -"
    log.info(
        "%s | round %*d/%d | %5d labelled | test error %6.2f %% | fit %6.2f s | select %s",
        label,
        len(str(rounds - 1)),
        row["round"],
        rounds - 1,
        row["labelled"],
        100 * row["test_error"],
        row["fit_seconds"],
        select,
    )
