"""Translates configurations that older versions recorded, so that this version can continue their runs."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

# Options that were added later, of all runs and by the target that has them. Each value is what a run did before.
ADDED_TO_ALL = {"standardise": True}
ADDED: dict[str, dict[str, object]] = {
    "al_runner.data.npz.npz": {"dataset.values": "uint8"},
    "al_runner.learners.ensemble.Ensemble": {"learner.shared_order": False},
    "al_runner.learners.fine_tuned.FineTuned": {
        "learner.keep_optimizer": False,
        "learner.shrink": 1.0,
        "learner.perturb": 0.0,
    },
    "al_runner.models.ducoffe2017.cnn": {"model.channels": 20},
    "al_runner.models.linear_probe.linear_probe": {"model.batch_norm": True},
}
MOVED = {"al_runner.types.Recipe": "al_runner.training.Recipe"}  # old and new names of classes that were moved


def renewed(config: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded configuration, by dotted names, as this version would have recorded it."""
    options = {name: MOVED.get(value, value) if isinstance(value, str) else value for name, value in config.items()}
    if "budget.balanced" in options:
        options["budget.initial_by"] = "balanced" if options.pop("budget.balanced") else "random"
    targets = (str(value) for name, value in options.items() if name.endswith("._target_"))
    added = chain.from_iterable(ADDED.get(target, {}).items() for target in targets)
    return {**ADDED_TO_ALL, **dict(added), **options}
