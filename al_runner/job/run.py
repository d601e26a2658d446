"""One run, from its configuration to its last row."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, cast

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from al_runner.engine.drive import drive
from al_runner.engine.stacked import Stacked
from al_runner.engine.stopping import NonFiniteLoss
from al_runner.errors import FAULTS, UsageError, Waiting
from al_runner.job.build import build
from al_runner.job.device import set_torch, torch_device
from al_runner.job.methods import require_logger
from al_runner.job.person import asking, exchange_of, record_answers, require_one_person, warn_if_needless
from al_runner.job.weights import Seen, keeper
from al_runner.labelling.exchange import Exchange, RecordedAnswers
from al_runner.loop.experiment import Experiment
from al_runner.record.journal import Bought, Measured
from al_runner.record.loggers import Logger, logged
from al_runner.record.provenance import fingerprints, provenance
from al_runner.record.run import RunRecord, discard
from al_runner.record.run_id import UPPER_LINE, RunId
from al_runner.record.state import LOCK, RUNNING, Noted
from al_runner.settings.check import require_options
from al_runner.settings.explain import USER_ERRORS, explain
from al_runner.sweeps.begin import launch_of
from al_runner.sweeps.header import header
from al_runner.sweeps.progress import Lines, run_progress
from al_runner.system.claim import Claim, Taken
from al_runner.system.energy import Meter, counter_of
from al_runner.system.signals import finishing, stop_point

log = logging.getLogger(__name__)

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
    with run_progress() as progress:
        drive(run_job(cfg, perf_counter, progress, hydra.job.num if sweep else 0), Stacked().train_all)
    if not sweep:
        show(Path(hydra.runtime.output_dir))


async def run_job(cfg: DictConfig, clock: Callable[[], float], progress: Lines, device_number: int) -> None:
    """Run or resume the job of `cfg` in Hydra's output folder; its driver carries out the fits.

    `clock` gives the seconds spent on this job. If there are several GPUs, `device_number` chooses the job's GPU.
    Raises UsageError if the user must correct something, and Waiting if a person must give labels first.
    """
    hydra = HydraConfig.get()
    title = RunId(*(cfg.run[part] for part in RunId._fields)).title  # the options are not checked yet
    folder = Path(hydra.runtime.output_dir)
    try:
        words = [*hydra.overrides.task]
        noting = Noted(folder, words, explain, launch_of(cast(DictConfig, hydra)))
        with Claim(folder / LOCK) as claim, noting as noted, unended():
            require_options(cfg)
            set_torch(cfg)
            device = torch_device(cfg.device, device_number)
            experiment, record, exchange, data = opened(cfg, device, folder, claim, title)
            rounds = experiment.rounds(record)
            noted.runs(rounds)
            if len(record.rows) < rounds:
                progress.begun(title, header(cfg.run, experiment, device, folder))
                warn_if_needless(exchange, title)
            progress.opened(title, rounds, record.rows)
            if len(record.rows) < rounds:
                logger = logger_of(cfg, folder)
                source, classes = experiment.data.source, experiment.data.classes
                start = provenance(device, cfg.seed, noted.words, data, source, classes)
                record.begin(recorded(cfg, experiment), start, experiment.data.files)
                record.on(Measured, lambda event: noted.runs(experiment.rounds(record)))
                record.on(Measured, lambda event: progress.measured(title, experiment.rounds(record), event.row))
                seen = keeper(cfg.save_weights, folder, experiment, record)
                with asking(exchange, noted.words, title):
                    await carry_out(experiment, record, clock, Meter(counter_of(device)), logger, seen)
            rule = experiment.ended_by(record)
            if rule:
                log.info("%s | %s says stop, with %d labels", title, rule, record.rows[-1]["labelled"])
                noted.write(RUNNING, rule=rule)
            record.end(rule)
    except Taken as error:
        raise UsageError(f"{folder} is {error}; wait for it, or choose another name=") from error
    except Waiting:
        raise
    except Exception as error:
        if hydra.mode is RunMode.MULTIRUN:  # the error of a single run ends the program, which shows it
            progress.failed(title, explain(error) if isinstance(error, USER_ERRORS) else None)
        raise


@contextmanager
def unended() -> Iterator[None]:
    """A block of a run. Raises UsageError if code in it ends the program: a run that is not done has failed.

    Otherwise sys.exit(0) in the user's own code would end a whole sweep with the exit code of success.
    """
    try:
        yield
    except SystemExit as error:
        raise UsageError(
            f"code of this run called sys.exit({error.code!r}); let it raise an exception that says what is wrong"
        ) from error


class Opened(NamedTuple):
    """A run, ready to go on."""

    experiment: Experiment
    record: RunRecord
    exchange: Exchange | None
    data: str  # the fingerprint of the data set


def opened(cfg: DictConfig, device: torch.device, folder: Path, claim: Claim, title: str) -> Opened:
    """The run of `cfg`, with the record in its folder and a person's new answers. Raises UsageError like `run_job`."""
    record = None if cfg.overwrite else RunRecord(folder, claim, cfg.recover)
    if record is not None:
        record.require_settings(identity(cfg))  # at once: data and features may take minutes
    experiment = build(cfg, device)
    require_one_person(experiment, HydraConfig.get().mode is RunMode.MULTIRUN)
    data, older = fingerprints(experiment.data)
    if record is None:
        discard(folder)
        record = RunRecord(folder, claim)
    if record.answers:
        experiment = build(cfg, device, RecordedAnswers.of(record))
    record.require_plan(experiment.purchases, data, older)
    mended = record.settle()
    if mended:
        log.warning("%s | %s", title, mended)
    exchange = exchange_of(cfg, folder, record, experiment.oracle, title)
    if exchange is not None and record_answers(exchange, experiment.data.files, title):
        experiment = build(cfg, device, RecordedAnswers.of(record))
        exchange = exchange_of(cfg, folder, record, experiment.oracle, title)
    return Opened(experiment, record, exchange, data)


def identity(cfg: DictConfig) -> dict[str, Any]:
    """The configuration that makes a run this run."""
    settings = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    return {key: value for key, value in settings.items() if key not in NOT_IDENTITY}


def recorded(cfg: DictConfig, experiment: Experiment) -> dict[str, Any]:
    """What the run's folder keeps of its configuration: its identity, and whether it is an upper line."""
    config = identity(cfg)
    return config | {"run": config["run"] | {UPPER_LINE: True}} if experiment.strategy.foresees else config


def logger_of(cfg: DictConfig, folder: Path) -> Logger | None:
    """The logger that the user chose, for the run in a folder. Raises UsageError if it can't log."""
    if not cfg.get("logger"):
        return None
    who = f"logger={HydraConfig.get().runtime.choices['logger']}"
    return require_logger(instantiate(cfg.logger), folder, identity(cfg), who)


async def carry_out(
    experiment: Experiment,
    record: RunRecord,
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
    except Exception as error:
        if isinstance(error, ArithmeticError) and not isinstance(error, FAULTS):
            raise UsageError(f"round {len(record.rows)}: {error} (every earlier round is kept)") from error
        error.add_note(
            f"This ended round {len(record.rows)}. Every earlier round is kept; the same command goes on there."
        )
        raise


def show(folder: Path) -> None:
    """Draw the run's picture, and log the paths of the results."""
    from al_runner.analysis import draw_run  # noqa: PLC0415 - imports matplotlib, which a sweep's jobs do not need

    picture = draw_run(folder)
    log.info("Results: %s\nPicture: %s", os.path.relpath(folder), os.path.relpath(picture))
