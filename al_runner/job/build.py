"""The parts of a run, built from its configuration and checked before any training."""

import logging
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from al_runner.budget import Budget
from al_runner.data.doubts import doubts
from al_runner.data.form import well_formed
from al_runner.data.usable import usable
from al_runner.errors import UsageError
from al_runner.features.base import Features, require_features
from al_runner.job.methods import require_changes, require_learner, require_queries, require_stopping, require_strategy
from al_runner.job.person import require_run_to_answer
from al_runner.job.placed import placed
from al_runner.job.recipe import (
    WRONG,
    recipes_of,
    require_augmentation,
    require_favourable,
    require_init,
    require_optimizer,
    require_pixels,
    require_schedule,
    require_trainable,
)
from al_runner.labelling.exchange import NO_ANSWERS, RecordedAnswers
from al_runner.loop.experiment import Experiment
from al_runner.loop.initial import DRAWN
from al_runner.models.inputs import NetBuilder, net_builder
from al_runner.models.outputs import require_outputs
from al_runner.oracle.person import Person
from al_runner.strategies.base import Strategy
from al_runner.system.stamps import Stamp, stamp
from al_runner.system.text import listed
from al_runner.types import DataSet

log = logging.getLogger(__name__)

INITIAL_BY = "use random, balanced, or a strategy that needs no fit, such as budget.initial_by=typiclust"


def build(cfg: DictConfig, device: torch.device, answers: RecordedAnswers = NO_ANSWERS) -> Experiment:
    """The parts of the run, after a check that they fit each other. Raises UsageError before any training.

    `answers` are a person's answers so far.
    """
    strategy = require_strategy(instantiate(cfg.strategy), f"strategy={cfg.run.strategy}")
    budget = instantiate(cfg.budget)
    require_hidden_classes(cfg)
    require_run_to_answer(cfg)
    model = instantiate(cfg.model)
    whole = data_set(cfg, device)
    data = to_validate_on(whole, budget)
    oracle = instantiate(cfg.oracle, _partial_=True)(data=whole)  # one that is trained has its own validation images
    if isinstance(oracle, Person):
        oracle = replace(oracle, data=data).with_answers(answers.labels, answers.added(len(oracle.names)))
        data = oracle.data
    builder = net_builder(data, model, cfg.standardise)
    learner = require_learner(instantiate(cfg.learner, _partial_=True), builder, f"learner={cfg.run.learner}")
    require_changes(strategy, budget, learner)
    stopping = require_stopping(instantiate(cfg.stopping), "stopping=...") if cfg.get("stopping") else None
    first_by = first_strategy(budget.initial_by, strategy, cfg.run.strategy)
    experiment = Experiment(data, learner, strategy, budget, cfg.seed, oracle, first_by, stopping)
    first = experiment.purchases[0] - experiment.set_aside[0]  # images to train on
    require_queries(strategy, experiment.purchases)
    strategy.check_learner(strategy.wrap(learner))
    images = data.images[:2].cpu()
    recipe, training = instantiate(cfg.training), f"training={cfg.run.training}"
    require_favourable(recipe, learner, f"learner={cfg.run.learner}")
    require_pixels(recipe, images, training)
    net = checked_net(cfg, builder, images)
    strategy.check(net, images)
    require_augmentation(recipe, images, training)
    require_init({training: recipe, **recipes_of(learner)}, builder)
    require_schedule(recipe, net, first, training)
    require_trainable(recipe, net, images, first, f"model={cfg.run.model}")
    return experiment


def to_validate_on(data: DataSet, budget: Budget) -> DataSet:
    """The data set, without its own validation images if labelled ones are set aside. Raises UsageError for neither."""
    if budget.val_share is not None:
        return data.without_validation()
    if not len(data.val):
        raise UsageError(
            "the data set has no validation images (dataset.split.val=0); give it some, or set labelled images aside, "
            "as with budget.val_share=0.2"
        )
    return data


def require_hidden_classes(cfg: DictConfig) -> None:
    """Raises UsageError if classes are to be discovered, and the initial set may have some of them."""
    target = "al_runner.data.discovery.class_discovery"
    if not cfg.get("pool") or cfg.pool.get("_target_") != target:
        return
    known = cfg.budget.get("known")
    if known is None or known > cfg.pool.known:
        raise UsageError(
            f"pool=class_discovery lets the initial set have {cfg.pool.known} classes, and "
            f"budget.known={known or 'null'} would let it have more; set budget.initial_by=balanced "
            f"budget.known={cfg.pool.known}"
        )


def first_strategy(name: str, strategy: Strategy, own: str) -> Strategy | None:
    """The strategy `name` of budget.initial_by. None if it names none. Raises UsageError if it needs a fit.

    It is the run's own `strategy` if it has that one's name, `own`. Others have the options of their file.
    """
    if name in DRAWN:
        return None
    first = strategy if name == own else from_its_file(name)
    if not first.without_fit:
        raise UsageError(f"budget.initial_by is {name}, which chooses by a fitted model; {INITIAL_BY}")
    return first


def from_its_file(name: str) -> Strategy:
    """The strategy that `strategy=name` chooses, with the options of its file. Raises UsageError if there is none."""
    try:
        cfg = GlobalHydra.instance().config_loader().load_configuration("config", [f"strategy={name}"], RunMode.RUN)
    except MissingConfigException as error:
        missing = f"budget.initial_by is {name}, and there is no strategy of that name; {INITIAL_BY}"
        raise UsageError(missing) from error
    return require_strategy(instantiate(cfg.strategy), f"budget.initial_by={name}")


def data_set(cfg: DictConfig, device: torch.device) -> DataSet:
    """The data set of a run on the device (`placed`); loaded once for a process's jobs."""
    parts = [cfg.get(part) or OmegaConf.create({}) for part in ("dataset", "pool", "features")]
    dataset, pool, features = (OmegaConf.to_yaml(part, resolve=True) for part in parts)
    files = tuple(stamp(path) for part in parts for path in paths_in(part))
    return placed(loaded(dataset, pool, features, str(Path(cfg.data_root).expanduser()), device, files), device)


def paths_in(part: DictConfig) -> list[Path]:
    """The options at the top of a part that say where the user's own files are."""
    values = [part[key] for key in ("path", "images", "labels", "weights") if isinstance(part.get(key), str)]
    return [Path(value).expanduser() for value in values]


@lru_cache(maxsize=4)
def loaded(
    dataset: str,
    pool: str,
    features: str,
    data_root: str,
    device: torch.device,
    files: tuple[tuple[Stamp, ...], ...] = (),
) -> DataSet:
    """The data set of these YAML lines in the CPU's memory; features are computed on the device.

    `pool` changes its pool, and `features` turns its images into features, or adds features to them. `files` are the
    stamps of the user's own files: if one has changed, they are read again.
    """
    made: Features | None = instantiate(OmegaConf.create(features)) or None
    if made is not None:
        require_features(made)
    source, spoils = OmegaConf.create(dataset), OmegaConf.create(pool)
    data = well_formed(instantiate(source, data_root=data_root), source._target_)
    for line in doubts(data):
        log.warning("%s", line)
    spoil = instantiate(spoils)
    data = usable(well_formed(spoil(data), spoils._target_) if spoil else data)
    return (data if made is None else usable(made.apply(data, data_root, device))).to(torch.device("cpu"))


def checked_net(cfg: DictConfig, builder: NetBuilder, images: Tensor) -> nn.Module:
    """A net of the kind that will be trained, in evaluation mode.

    Raises UsageError if the model or the optimiser refuses its options or the images, or if the net gives no logits.
    """
    try:
        net = builder()
        require_outputs(net, images, builder.classes, cfg.run.model)
        other = builder()
        require_new_weights(net, other, cfg.run.model)
        require_optimizer(instantiate(cfg.training.optimizer)(other.parameters()), f"training={cfg.run.training}")
    except WRONG as error:
        raise UsageError(f"model={cfg.run.model} or training={cfg.run.training}: {error}") from error
    return net


def require_new_weights(one: nn.Module, other: nn.Module, model: str) -> None:
    """Raises UsageError if two nets that were built one after the other train the same weights."""
    first = {weight.data_ptr(): name for name, weight in one.named_parameters() if weight.numel()}
    shared = [
        first[weight.data_ptr()] for weight in other.parameters() if weight.requires_grad and weight.data_ptr() in first
    ]
    if shared:
        raise UsageError(
            f"model={model}: every net must have weights of its own, and two have the same {listed(shared, 3)}; make "
            "the layers inside the function, or return copy.deepcopy(net)"
        )
