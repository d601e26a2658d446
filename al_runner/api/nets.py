"""The nets of a run: from saved weights, or trained again."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

from al_runner.api.compose import composed, usage_errors
from al_runner.engine.drive import drive
from al_runner.engine.stacked import Stacked
from al_runner.errors import UsageError
from al_runner.job.build import build
from al_runner.job.device import set_torch, torch_device
from al_runner.job.run import NOT_IDENTITY
from al_runner.labelling.exchange import RecordedAnswers
from al_runner.learners.committee import networks
from al_runner.loop.experiment import Experiment
from al_runner.models.inputs import NetBuilder
from al_runner.pool import Pool
from al_runner.record.run import RunRecord
from al_runner.record.state import State, read
from al_runner.record.weights import Saved, load
from al_runner.settings.modules import find_modules
from al_runner.types import Fitted

log = logging.getLogger(__name__)

# What may differ on another machine: options that are no part of a run, and the places of its files.
MACHINE, FILES = ("data_root", "device", "threads"), ("dataset.path", "oracle.labels")


class Averaged(nn.Module):
    """Several nets as one net: the log of their mean probabilities, in nats, [N, ...] -> [N, Y]."""

    def __init__(self, nets: Sequence[nn.Module]):
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def forward(self, x: Tensor) -> Tensor:
        probabilities = torch.stack([net(x).softmax(-1) for net in self.nets])
        return probabilities.mean(0).log()


def as_one(nets: Sequence[nn.Module]) -> nn.Module:
    """The only net, or several as one, in evaluation mode."""
    return (nets[0] if len(nets) == 1 else Averaged(nets)).eval()


def load_net(folder: str | Path, which: str | int | None = None) -> nn.Module:
    """A net of the run in `folder`, from weights that the run saved (save_weights).

    `which` is "last", "best" or a round's number; None: "last" if it exists, otherwise "best". The net is in evaluation
    mode on the CPU, and turns uint8 images [N, C, H, W] into logits [N, Y]; its attribute `classes` names the classes.
    An ensemble is one net that gives the log of the mean probabilities. The module of a net of one's own is looked for
    where al-run was started, in its --config-dir, and on sys.path. Raises UsageError if the folder holds no run, or not
    these weights, or if that module is nowhere.
    """
    folder = Path(folder).expanduser()
    return _net_of(folder, load(folder, which))


def newest_net(folder: Path) -> nn.Module:
    """The net of a run's last round, from saved weights of that round, or else trained again.

    Weights of an earlier round lie there if the run went on without save_weights=last. Raises UsageError as `again`.
    """
    try:
        saved = load(folder, "last")
    except UsageError:
        return trained_again(folder)
    return _net_of(folder, saved) if saved.round == len(RunRecord(folder).rows) - 1 else trained_again(folder)


def _net_of(folder: Path, saved: Saved) -> nn.Module:
    channels = saved.image_shape[0]
    with usage_errors():
        find_modules_of(read(folder))
        model = instantiate(OmegaConf.create(config_of(folder)).model)
    builder = NetBuilder(model, saved.image_shape, len(saved.classes), torch.zeros(channels), torch.ones(channels))
    nets = []
    for state in saved.states:
        nets.append(builder())
        nets[-1].load_state_dict(state)
    net = as_one(nets)
    net.classes = saved.classes  # type: ignore[assignment]  # a plain attribute, no module
    return net


def find_modules_of(state: State | None) -> None:
    """Let the modules of one's own that a run has used be found where it found them."""
    if state is not None:
        find_modules(state.launch, Path(state.cwd))


def config_of(folder: Path) -> dict[str, Any]:
    """A run's config.yaml. Raises UsageError if it can't be read."""
    try:
        return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(folder / "config.yaml")))
    except OSError as error:
        raise UsageError(f"{folder} holds no run: config.yaml can't be read ({error.strerror})") from error


def again(folder: Path, words: Sequence[str] = ()) -> tuple[Experiment, Fitted, Pool]:
    """The experiment of a run's folder, its model of the last round, fitted again, and the pool of that round.

    `words` are options that take the place of the run's own: where its files are now, the device, the threads. Raises
    UsageError for another option, if the folder holds no run, and if no round is measured yet.
    """
    require_here(words)
    config, state = config_of(folder), read(folder)
    find_modules_of(state)
    kept = [word for word in (state.overrides if state else ()) if option(word) in MACHINE]
    with usage_errors(), composed([*kept, *(word for word in words if option(word) in MACHINE)]) as base:
        cfg = OmegaConf.create({**{name: base.get(name) for name in NOT_IDENTITY}, **config})
        for word in words:
            if option(word) in FILES:
                OmegaConf.update(cfg, option(word), word.partition("=")[2])
        set_torch(cfg)
        record = RunRecord(folder)
        experiment = build(cfg, device_like(cfg.device), RecordedAnswers.of(record))
        return experiment, *drive(experiment.again(record), Stacked().train_all)


def option(word: str) -> str:
    """The name of the option in `OPTION=VALUE`."""
    return word.partition("=")[0]


def require_here(words: Sequence[str]) -> None:
    """Raises UsageError for a word that is none of a machine's options (`MACHINE`, `FILES`)."""
    for word in words:
        if "=" not in word or option(word) not in (*MACHINE, *FILES):
            may = ", ".join(f"{name}=" for name in (*MACHINE, *FILES))
            raise UsageError(f"{word} can't be given with a run's folder, since the run has its own; only {may} can")


def device_like(name: str) -> torch.device:
    """The device of that name, or this machine's own choice if there is none: a run may come from another machine."""
    try:
        return torch_device(name, 0)
    except UsageError:
        device = torch_device("auto", 0)
        log.warning("device=%s can't be used here; the net is trained again on %s", name, device)
        return device


def trained_again(folder: Path) -> nn.Module:
    """The net of a run's last round, trained again."""
    experiment, fitted, _ = again(folder)
    net = as_one(networks(fitted))
    net.classes = experiment.data.classes  # type: ignore[assignment]
    return net
