"""One run, from its configuration to its last row."""

import logging
import os
from collections.abc import Callable, Mapping
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

from al_runner.engine.drive import drive
from al_runner.engine.stacked import Stacked
from al_runner.engine.stopping import NonFiniteLoss
from al_runner.errors import UsageError
from al_runner.loop import Experiment
from al_runner.models.inputs import net_builder
from al_runner.record.loggers import logged
from al_runner.record.provenance import fingerprint, provenance
from al_runner.record.records import RunFolder
from al_runner.record.state import RUNNING, Noted
from al_runner.settings.check import require_options
from al_runner.settings.explain import MENDABLE, explain
from al_runner.sweep.begin import launch_of
from al_runner.sweep.progress import Lines
from al_runner.system.claim import Claim, Taken
from al_runner.system.energy import Meter, counter_of
from al_runner.system.signals import finishing
from al_runner.types import DataSet

log = logging.getLogger(__name__)

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
    label = f"{cfg.run.dataset} {cfg.run.strategy}{'-' if cfg.name else ''}{cfg.name} seed {cfg.seed}"
    folder = Path(hydra.runtime.output_dir)
    try:
        noting = Noted(folder, hydra.overrides.task, explain, launch_of(cast(DictConfig, hydra)))
        with Claim(folder / ".lock") as claim, noting as noted:
            require_options(cfg)
            torch.set_num_threads(cfg.threads)
            set_deterministic(cfg.deterministic)
            torch.backends.cudnn.allow_tf32 = False  # training.precision says where it is wanted
            held = Held(folder, claim, noted)
            await run_in(held, cfg, label, torch_device(cfg.device, device_number), clock, progress)
    except Taken as error:
        raise UsageError(f"{folder} is {error}; wait for it, or choose another name=") from None
    except Exception as error:
        if hydra.mode is RunMode.MULTIRUN:  # a single run's error ends the program and is shown there
            progress.failed(label, explain(error) if isinstance(error, MENDABLE) else None)
        raise


class Held(NamedTuple):
    """A run's folder while it is this process's."""

    folder: Path
    claim: Claim
    noted: Noted

    def require(self) -> None:
        """UsageError where another process took the folder over."""
        try:
            self.claim.require()
        except Taken as error:
            self.noted.disown()
            raise UsageError(f"{self.folder} was {error} while this process was silent, and goes on there") from None


async def run_in(
    held: Held,
    cfg: DictConfig,
    label: str,
    device: torch.device,
    clock: Callable[[], float],
    progress: Lines,
) -> None:
    """Carry the run out in its own folder, every round that is still to come."""
    experiment = build(cfg, device)
    settings = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    config = {key: value for key, value in settings.items() if key not in PLACE}
    plan = experiment.purchases
    rounds = len(plan)
    listeners: list[Callable[[Mapping[str, Any]], None]] = []

    def announce(row: Mapping[str, Any]) -> None:
        held.noted.write(RUNNING)
        progress.measured(label, rounds, row)
        for listener in listeners:
            listener(row)

    record = RunFolder(
        held.folder,
        config,
        cfg.overwrite,
        cfg.recover,
        announce=announce,
        plan=plan,
        joules=Meter(counter_of(device)).joules,
        require=held.require,
    )
    if record.recovered:
        log.warning("%s | %s damaged and set aside, cut to the last sound round", label, " and ".join(record.recovered))
    data = fingerprint(experiment.data)
    record.require_data(data, experiment.data.labels)
    held.noted.runs(rounds)
    progress.opened(label, rounds, record.rows)
    if len(record.rows) == rounds:
        return
    record.add_provenance(provenance(device, cfg.seed, held.noted.words, data))
    try:
        logger = instantiate(cfg.logger)(folder=held.folder, settings=config) if cfg.get("logger") else None
        with logged(logger, record.rows) as also, finishing():
            listeners.append(also.write)
            await experiment.run(record, clock)
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
    experiment = Experiment(data, learner, strategy, budget, cfg.seed, oracle)
    _ = experiment.purchases
    strategy.check_learner(strategy.wrap(learner))
    images = data.images[:2].cpu()
    strategy.check(checked_net(cfg, builder, images), images)
    return experiment


@lru_cache(maxsize=4)
def data_set(dataset: str, pool: str, data_root: str, device: torch.device) -> DataSet:
    """The data set of these YAML lines on its device, its pool spoilt where asked, once for all jobs of a process."""
    data: DataSet = instantiate(OmegaConf.create(dataset), data_root=data_root)
    spoil = instantiate(OmegaConf.create(pool))
    return (spoil(data) if spoil else data).to(device)


def set_deterministic(wanted: bool) -> None:
    """Let torch take the algorithms that give the same bits every time, or refuse; a CPU's do so anyway."""
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it is first used
        torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(wanted)


def checked_net(cfg: DictConfig, builder: Callable[[], nn.Module], images: Tensor) -> nn.Module:
    """A net of the kind to be trained; UsageError where model or optimiser do not take their options or the images."""
    try:
        net = builder().eval()
        instantiate(cfg.training.optimizer)(net.parameters())
        net(images)
    except (TypeError, ValueError, RuntimeError) as error:
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
