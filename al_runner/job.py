"""One run, from its configuration to its last row."""

import logging
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from al_runner.data.usable import usable
from al_runner.engine.drive import drive
from al_runner.engine.stacked import Stacked
from al_runner.engine.stopping import NonFiniteLoss
from al_runner.errors import UsageError
from al_runner.loop import DRAWN, Experiment
from al_runner.models.inputs import NetBuilder, net_builder
from al_runner.models.outputs import require_outputs
from al_runner.record.journal import Bought, Measured
from al_runner.record.loggers import Logger, logged
from al_runner.record.provenance import fingerprint, provenance
from al_runner.record.run import Run, discard
from al_runner.record.run_id import RunId
from al_runner.record.state import RUNNING, Noted
from al_runner.settings.check import require_options
from al_runner.settings.explain import USER_ERRORS, explain
from al_runner.strategies.base import Strategy
from al_runner.sweep.begin import launch_of
from al_runner.sweep.progress import Lines
from al_runner.system.claim import Claim, Taken
from al_runner.system.energy import Meter, counter_of
from al_runner.system.signals import finishing, stop_point
from al_runner.types import DataSet

log = logging.getLogger(__name__)

INITIAL_BY = "use random, balanced, or a strategy that needs no fit, such as budget.initial_by=typiclust"

# Where a run happens does not change what it is: these may differ when it is resumed.
PLACE = ("data_root", "results", "device", "threads", "deterministic", "overwrite", "recover", "name", "logger")


def run_alone(cfg: DictConfig) -> None:
    """Run or resume the job of `cfg` by itself; UsageError where the user must mend something."""
    hydra = HydraConfig.get()
    sweep = hydra.mode is RunMode.MULTIRUN
    drive(run_job(cfg, perf_counter, Lines(), hydra.job.num if sweep else 0), Stacked().train_all)
    if not sweep:
        show(Path(hydra.runtime.output_dir))


async def run_job(cfg: DictConfig, clock: Callable[[], float], progress: Lines, device_number: int) -> None:
    """Run or resume the job of `cfg` in Hydra's output folder, asking its driver for fits; UsageError as above.

    `clock` gives the seconds spent on this job; where there are several GPUs, job number `device_number` has its own.
    """
    hydra = HydraConfig.get()
    label = RunId(*(cfg.run[part] for part in RunId._fields)).label  # of options that are not checked yet
    folder = Path(hydra.runtime.output_dir)
    try:
        noting = Noted(folder, hydra.overrides.task, explain, launch_of(cast(DictConfig, hydra)))
        with Claim(folder / ".lock") as claim, noting as noted:
            require_options(cfg)
            set_torch(cfg)
            device = torch_device(cfg.device, device_number)
            experiment, config = build(cfg, device), identity(cfg)
            rounds, data = len(experiment.purchases), fingerprint(experiment.data)
            if cfg.overwrite:
                discard(folder)
            record = Run(folder, claim, cfg.recover)
            record.require(config, experiment.purchases, data)
            mended = record.settle()
            if mended:
                log.warning("%s | %s", label, mended)
            noted.runs(rounds)
            progress.opened(label, rounds, record.rows)
            if len(record.rows) < rounds:
                logger = instantiate(cfg.logger)(folder=folder, settings=config) if cfg.get("logger") else None
                record.begin(config, provenance(device, cfg.seed, noted.words, data))
                record.on(Measured, lambda event: noted.write(RUNNING))
                record.on(Measured, lambda event: progress.measured(label, rounds, event.row))
                await carry_out(experiment, record, clock, Meter(counter_of(device)), logger)
            record.end()
    except Taken as error:
        raise UsageError(f"{folder} is {error}; wait for it, or choose another name=") from None
    except Exception as error:
        if hydra.mode is RunMode.MULTIRUN:  # a single run's error ends the program and is shown there
            progress.failed(label, explain(error) if isinstance(error, USER_ERRORS) else None)
        raise


def identity(cfg: DictConfig) -> dict[str, Any]:
    """What a run is, as its folder keeps it."""
    settings = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    return {key: value for key, value in settings.items() if key not in PLACE}


async def carry_out(
    experiment: Experiment, record: Run, clock: Callable[[], float], meter: Meter, logger: Logger | None
) -> None:
    """Every round that is still to come; a signal ends it where nothing has to be done twice."""
    record.on(Bought, lambda event: stop_point())  # the round before is recorded, and what was chosen after it
    try:
        with logged(logger, record.rows) as also, finishing():
            record.on(Measured, lambda event: also.write(event.row))
            await experiment.run(record, clock, meter.joules)
    except NonFiniteLoss as error:
        raise UsageError(
            f"round {len(record.rows)}: {error}; lower training.optimizer.lr (every earlier round is kept)"
        ) from error


def show(folder: Path) -> None:
    """Draw the run's picture, and say where everything is."""
    from al_runner.analysis import draw_run  # noqa: PLC0415 - matplotlib, which a sweep's jobs do not need

    picture = draw_run(folder)
    log.info("Results: %s\nPicture: %s", os.path.relpath(folder), os.path.relpath(picture))


def build(cfg: DictConfig, device: torch.device) -> Experiment:
    """Every part of the run, checked against each other before any training."""
    strategy, budget = instantiate(cfg.strategy), instantiate(cfg.budget)
    parts = (OmegaConf.to_yaml(cfg.get(part) or {}, resolve=True) for part in ("dataset", "pool"))
    data = data_set(*parts, str(Path(cfg.data_root).expanduser()), device)
    builder = net_builder(data, instantiate(cfg.model))
    learner = instantiate(cfg.learner, _partial_=True)(build=builder)
    oracle = instantiate(cfg.oracle, _partial_=True)(data=data)
    experiment = Experiment(data, learner, strategy, budget, cfg.seed, oracle, first_strategy(budget.initial_by))
    first = experiment.purchases[0]
    strategy.check_learner(strategy.wrap(learner))
    images = data.images[:2].cpu()
    net = checked_net(cfg, builder, images)
    strategy.check(net, images)
    require_trainable(cfg, net, images, first)
    return experiment


def first_strategy(name: str) -> Strategy | None:
    """The strategy that budget.initial_by names, with the options of its file; UsageError unless it needs no fit."""
    if name in DRAWN:
        return None
    folders = [Path(source.path) for source in HydraConfig.get().runtime.config_sources if source.schema == "file"]
    files = [file for folder in folders if (file := folder / "strategy" / f"{name}.yaml").is_file()]
    if not files:
        raise UsageError(f"budget.initial_by is {name}, and there is no strategy of that name; {INITIAL_BY}")
    strategy: Strategy = instantiate(OmegaConf.load(files[0]))
    if not strategy.without_fit:
        raise UsageError(f"budget.initial_by is {name}, which chooses by a fitted model; {INITIAL_BY}")
    return strategy


@lru_cache(maxsize=4)
def data_set(dataset: str, pool: str, data_root: str, device: torch.device) -> DataSet:
    """The data set of these YAML lines on its device, its pool spoilt where asked, once for all jobs of a process."""
    data: DataSet = instantiate(OmegaConf.create(dataset), data_root=data_root)
    spoil = instantiate(OmegaConf.create(pool))
    return usable(spoil(data) if spoil else data).to(device)


def set_torch(cfg: DictConfig) -> None:
    """Threads, precision, and where it is wanted the algorithms that give the same bits every time, or refuse."""
    torch.set_num_threads(cfg.threads)
    torch.backends.cudnn.allow_tf32 = False  # training.precision says where it is wanted
    if cfg.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it is first used
        torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(cfg.deterministic)


def checked_net(cfg: DictConfig, builder: NetBuilder, images: Tensor) -> nn.Module:
    """A net of the kind to be trained, in evaluation mode.

    UsageError where model or optimiser do not take their options or the images, or the net gives no logits.
    """
    try:
        net = builder()
        require_outputs(net, images, builder.classes, cfg.run.model)
        instantiate(cfg.training.optimizer)(net.parameters())
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"model={cfg.run.model} or training={cfg.run.training}: {error}") from error
    return net


def require_trainable(cfg: DictConfig, net: nn.Module, images: Tensor, initial: int) -> None:
    """UsageError where minibatches are of one image and the net can't be trained on one, as with BatchNorm.

    The net is left in training mode.
    """
    if min(instantiate(cfg.training).batch_size, initial) > 1:
        return
    try:
        net.train()(images[:1])
    except (RuntimeError, ValueError) as error:
        raise UsageError(
            f"model={cfg.run.model} can't be trained on one image at a time ({error}); "
            "raise budget.initial and training.batch_size to 2 or more"
        ) from error


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
