"""One run, from its configuration to its last row."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, cast

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
from al_runner.errors import UsageError, Waiting
from al_runner.features.base import Features
from al_runner.labelling.exchange import NOTHING, Exchange, Told
from al_runner.learners.committee import networks
from al_runner.loop import DRAWN, Experiment
from al_runner.models.inputs import NetBuilder, net_builder
from al_runner.models.outputs import require_outputs
from al_runner.oracle.person import Person
from al_runner.record.journal import Bought, Measured
from al_runner.record.loggers import Logger, logged
from al_runner.record.provenance import fingerprint, provenance
from al_runner.record.run import Run, discard
from al_runner.record.run_id import RunId
from al_runner.record.state import RUNNING, Noted
from al_runner.record.weights import Saved, keep, state_of
from al_runner.settings.check import require_options
from al_runner.settings.explain import USER_ERRORS, explain
from al_runner.strategies.base import Strategy
from al_runner.sweep.begin import launch_of
from al_runner.sweep.progress import Lines
from al_runner.system.claim import Claim, Taken
from al_runner.system.energy import Meter, counter_of
from al_runner.system.signals import finishing, stop_point
from al_runner.types import DataSet, Fitted, Learner, Oracle

log = logging.getLogger(__name__)
Seen = Callable[[int, Fitted, Mapping[str, float]], None]

INITIAL_BY = "use random, balanced, or a strategy that needs no fit, such as budget.initial_by=typiclust"

# These options are no part of a run's identity: they may differ when it is resumed.
NOT_IDENTITY = (
    "data_root",
    "results",
    "device",
    "threads",
    "deterministic",
    "overwrite",
    "recover",
    "name",
    "logger",
    "save_weights",
)


def run_alone(cfg: DictConfig) -> None:
    """Run or resume the job of `cfg` by itself. Raises UsageError if the user must correct something."""
    hydra = HydraConfig.get()
    sweep = hydra.mode is RunMode.MULTIRUN
    drive(run_job(cfg, perf_counter, Lines(), hydra.job.num if sweep else 0), Stacked().train_all)
    if not sweep:
        show(Path(hydra.runtime.output_dir))


async def run_job(cfg: DictConfig, clock: Callable[[], float], progress: Lines, device_number: int) -> None:
    """Run or resume the job of `cfg` in Hydra's output folder; its driver carries out the fits. Raises UsageError.

    `clock` gives the seconds spent on this job. If there are several GPUs, `device_number` chooses the job's GPU.
    """
    hydra = HydraConfig.get()
    label = RunId(*(cfg.run[part] for part in RunId._fields)).label  # the options are not checked yet
    folder = Path(hydra.runtime.output_dir)
    try:
        noting = Noted(folder, hydra.overrides.task, explain, launch_of(cast(DictConfig, hydra)))
        with Claim(folder / ".lock") as claim, noting as noted:
            require_options(cfg)
            set_torch(cfg)
            device = torch_device(cfg.device, device_number)
            experiment, record, exchange, data = opened(cfg, device, folder, claim, label)
            rounds = len(experiment.purchases)
            noted.runs(rounds)
            progress.opened(label, rounds, record.rows)
            if len(record.rows) < rounds:
                logger = instantiate(cfg.logger)(folder=folder, settings=identity(cfg)) if cfg.get("logger") else None
                start = provenance(device, cfg.seed, noted.words, data, experiment.data.source)
                record.begin(identity(cfg), start, experiment.data.files)
                record.on(Measured, lambda event: noted.write(RUNNING))
                record.on(Measured, lambda event: progress.measured(label, rounds, event.row))
                try:
                    seen = keeper(cfg.save_weights, folder, experiment, record)
                    await carry_out(experiment, record, clock, Meter(counter_of(device)), logger, seen)
                except Waiting:
                    assert exchange is not None
                    exchange.ask()
                    log.info("%s | %s", label, exchange.said(noted.words))
                    raise
            record.end()
    except Taken as error:
        raise UsageError(f"{folder} is {error}; wait for it, or choose another name=") from None
    except Waiting:
        raise
    except Exception as error:
        if hydra.mode is RunMode.MULTIRUN:  # the error of a single run ends the program, which shows it
            progress.failed(label, explain(error) if isinstance(error, USER_ERRORS) else None)
        raise


class Opened(NamedTuple):
    """A run, ready to go on."""

    experiment: Experiment
    record: Run
    exchange: Exchange | None
    data: str  # a fingerprint


def opened(cfg: DictConfig, device: torch.device, folder: Path, claim: Claim, label: str) -> Opened:
    """The run of `cfg` with what its folder holds, and with what a person has answered since; UsageError as above."""
    experiment = build(cfg, device)
    require_one_person(experiment, HydraConfig.get().mode is RunMode.MULTIRUN)
    data = fingerprint(experiment.data)
    if cfg.overwrite:
        discard(folder)
    record = Run(folder, claim, cfg.recover)
    if record.answers:
        experiment = build(cfg, device, Told.of(record))
    record.require(identity(cfg), experiment.purchases, data)
    mended = record.settle()
    if mended:
        log.warning("%s | %s", label, mended)
    exchange = exchange_of(cfg, folder, record, experiment.oracle, label)
    if exchange is not None and take_in(exchange, experiment.data.files, label):
        experiment = build(cfg, device, Told.of(record))
        exchange = exchange_of(cfg, folder, record, experiment.oracle, label)
    return Opened(experiment, record, exchange, data)


def require_one_person(experiment: Experiment, sweep: bool) -> None:
    """UsageError where a sweep is to ask a person."""
    if sweep and isinstance(experiment.oracle, Person):
        raise UsageError("oracle=person asks somebody, one run at a time; leave -m and lists of values out")


def exchange_of(cfg: DictConfig, folder: Path, record: Run, oracle: Oracle, label: str) -> Exchange | None:
    """What a run says to the person who labels, None where there is nobody."""
    if not isinstance(oracle, Person):
        return None
    root = Path(str(cfg.dataset.get("path") or "")).expanduser()
    return Exchange(folder, record, oracle, label, root if root.is_dir() else None)


def take_in(exchange: Exchange, files: Sequence[str], label: str) -> bool:
    """Record what a filled query answers, and say what can't be taken; whether there was anything new."""
    before = len(exchange.record.answers)
    exchange.record.name_files(files)
    for trouble in exchange.take_in():
        log.warning("%s | %s", label, trouble)
    return len(exchange.record.answers) > before


def identity(cfg: DictConfig) -> dict[str, Any]:
    """The configuration that makes a run this run; its folder keeps it."""
    settings = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    return {key: value for key, value in settings.items() if key not in NOT_IDENTITY}


async def carry_out(
    experiment: Experiment,
    record: Run,
    clock: Callable[[], float],
    meter: Meter,
    logger: Logger | None,
    seen: Seen,
) -> None:
    """Carry out the rounds that are left. A signal stops the run at a point where nothing has to be done twice."""
    record.on(Bought, lambda event: stop_point())  # the last round and the purchase after it are recorded by now
    try:
        with logged(logger, record.rows) as also, finishing():
            record.on(Measured, lambda event: also.write(event.row))
            await experiment.run(record, clock, meter.joules, seen)
    except NonFiniteLoss as error:
        rates = "training.optimizer.lr" + (
            " or learner.optimizer.lr" if hasattr(experiment.learner, "optimizer") else ""
        )
        raise UsageError(f"round {len(record.rows)}: {error}; lower {rates} (every earlier round is kept)") from error


def keeper(which: str | None, folder: Path, experiment: Experiment, record: Run) -> Seen:
    """What saves the weights of every round as `save_weights` says; a learner without nets is named once."""
    data, told = experiment.data, [False]

    def seen(round_: int, fitted: Fitted, row: Mapping[str, float]) -> None:
        if which is None:
            return
        try:
            states = states_of(experiment.learner, fitted)
        except UsageError as error:
            if not told[0]:
                log.warning("save_weights=%s: %s", which, error)
            told[0] = True
            return
        keep(folder, which, Saved(states, data.classes, data.image_shape, round_), row, record.rows)

    return seen


def states_of(learner: Learner, fitted: Fitted) -> list[dict[str, Tensor]]:
    """The weights of every net behind a fit, under the names of the model's own; UsageError where there is no net."""
    build = getattr(learner, "build", None)
    if build is None:
        raise UsageError(f"{type(learner).__name__} builds no net, so there are no weights to save")
    names = [*build().state_dict()]
    return [state_of(net, names) for net in networks(fitted)]


def show(folder: Path) -> None:
    """Draw the run's picture, and log the paths of the results."""
    from al_runner.analysis import draw_run  # noqa: PLC0415 - imports matplotlib, which a sweep's jobs do not need

    picture = draw_run(folder)
    log.info("Results: %s\nPicture: %s", os.path.relpath(folder), os.path.relpath(picture))


def build(cfg: DictConfig, device: torch.device, told: Told = NOTHING) -> Experiment:
    """The parts of the run, after a check that they fit each other. Raises UsageError before any training.

    `told` are a person's answers so far.
    """
    strategy, budget = instantiate(cfg.strategy), instantiate(cfg.budget)
    parts = (OmegaConf.to_yaml(cfg.get(part) or {}, resolve=True) for part in ("dataset", "pool", "features"))
    data = data_set(*parts, str(Path(cfg.data_root).expanduser()), device)
    oracle = instantiate(cfg.oracle, _partial_=True)(data=data)
    if isinstance(oracle, Person):
        oracle = oracle.told(told.labels, told.added(len(oracle.names)))
        data = oracle.data
    builder = net_builder(data, instantiate(cfg.model))
    learner = instantiate(cfg.learner, _partial_=True)(build=builder)
    experiment = Experiment(data, learner, strategy, budget, cfg.seed, oracle, first_strategy(budget.initial_by))
    first = experiment.purchases[0]
    strategy.check_learner(strategy.wrap(learner))
    images = data.images[:2].cpu()
    net = checked_net(cfg, builder, images)
    strategy.check(net, images)
    require_trainable(cfg, net, images, first)
    return experiment


def first_strategy(name: str) -> Strategy | None:
    """The strategy that budget.initial_by names, with the options of its file. Raises UsageError if it needs a fit."""
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
def data_set(dataset: str, pool: str, features: str, data_root: str, device: torch.device) -> DataSet:
    """The data set of these YAML lines on the device; loaded once for a process's jobs.

    Its pool is changed by `pool`, and its images get `features`.
    """
    made: Features | None = instantiate(OmegaConf.create(features)) or None
    if made is not None:
        made.require()
    data: DataSet = instantiate(OmegaConf.create(dataset), data_root=data_root)
    spoil = instantiate(OmegaConf.create(pool))
    data = usable(spoil(data) if spoil else data)
    return (data if made is None else usable(made.apply(data, data_root, device))).to(device)


def set_torch(cfg: DictConfig) -> None:
    """Set torch's threads and precision; if deterministic, only algorithms that give the same bits every time."""
    torch.set_num_threads(cfg.threads)
    torch.backends.cudnn.allow_tf32 = False  # training.precision turns it on for a fit
    if cfg.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it is first used
        torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(cfg.deterministic)


def checked_net(cfg: DictConfig, builder: NetBuilder, images: Tensor) -> nn.Module:
    """A net of the kind that will be trained, in evaluation mode.

    Raises UsageError if model or optimiser refuse their options or the images, or if the net's output is no logits.
    """
    try:
        net = builder()
        require_outputs(net, images, builder.classes, cfg.run.model)
        instantiate(cfg.training.optimizer)(net.parameters())
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"model={cfg.run.model} or training={cfg.run.training}: {error}") from error
    return net


def require_trainable(cfg: DictConfig, net: nn.Module, images: Tensor, initial: int) -> None:
    """Raises UsageError if a minibatch is one image and the net can't be trained on one, as with BatchNorm.

    The net may be in training mode afterwards.
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
    """The device of job number `job`; the jobs of a sweep use all GPUs in turn. Raises UsageError if `name` is none."""
    cuda = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if cuda else "cpu"
    if name == "cuda" and cuda:
        return torch.device("cuda", job % torch.cuda.device_count())
    try:
        torch.device(name)
    except RuntimeError as error:
        raise UsageError(
            f"device={name} is no name of a device; use auto, cpu, cuda, or cuda:1 for the second"
        ) from error
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        gpus = torch.cuda.device_count()
        raise UsageError(
            f"device={name} can't be used here (CUDA devices that torch {torch.__version__} sees: {gpus}); "
            "use device=cpu or device=auto, or install a build of torch for that device"
        ) from error
    return torch.device(name)
