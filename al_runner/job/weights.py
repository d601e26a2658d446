"""Saves the weights of a run's nets, as the option `save_weights` says."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from al_runner.errors import UsageError
from al_runner.learners.committee import networks
from al_runner.loop.experiment import Experiment
from al_runner.record.run import RunRecord
from al_runner.record.weights import Saved, keep, state_of
from al_runner.types import Fitted, Learner

log = logging.getLogger(__name__)
Seen = Callable[[int, Fitted, Mapping[str, float]], None]


def keeper(which: str | None, folder: Path, experiment: Experiment, record: RunRecord) -> Seen:
    """A function that saves weights after every round, as `which` says. It warns once if the learner has no nets."""
    data, warned = experiment.data, False

    def seen(round_: int, fitted: Fitted, row: Mapping[str, float]) -> None:
        nonlocal warned
        if which is None:
            return
        try:
            states = states_of(experiment.learner, fitted)
        except UsageError as error:
            if not warned:
                log.warning("save_weights=%s: %s", which, error)
            warned = True
            return
        keep(folder, which, Saved(states, data.classes, data.image_shape, round_), row, record.rows)

    return seen


def states_of(learner: Learner, fitted: Fitted) -> list[dict[str, Tensor]]:
    """The weights of every net of a fit, by the model's own names. Raises UsageError if there is no net."""
    build = getattr(learner, "build", None)
    if build is None:
        raise UsageError("this learner builds no net, so there are no weights to save")
    names = [*build().state_dict()]
    return [state_of(net, names) for net in networks(fitted)]
