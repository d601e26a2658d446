"""Trained weights in a run's folder: weights/last.safetensors, best.safetensors and round000.safetensors."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.system.atomic import replace_file

log = logging.getLogger(__name__)
FOLDER, KINDS = "weights", ("last", "best", "all")


@dataclass(frozen=True)
class Saved:
    """The nets of one round, as a file holds them."""

    states: list[dict[str, Tensor]]  # one for each net
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]  # C, H, W
    round: int


def keep(folder: Path, which: str, saved: Saved, row: Mapping[str, float], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the nets of a round, which will be recorded with `row` after the earlier `rows`.

    `which` "last" keeps the newest round's nets, "best" those of the lowest validation error (the first of equals),
    "all" every round's and also the newest as "last". An OSError is logged, and the run goes on.
    """
    earlier = [float(row["val_error"]) for row in rows]
    names = {"last": ["last"], "best": ["best"], "all": ["last", f"round{saved.round:03d}"]}[which]
    if which == "best" and earlier and row["val_error"] >= min(earlier):
        return
    tensors = {
        (name if len(saved.states) == 1 else f"{place}/{name}"): value.detach().cpu().contiguous()
        for place, state in enumerate(saved.states)
        for name, value in state.items()
    }
    facts = {"classes": [*saved.classes], "image_shape": [*saved.image_shape], "round": saved.round}
    content = save(tensors, {"al_runner": json.dumps({**facts, "nets": len(saved.states)})})
    try:
        for name in names:
            replace_file(folder / FOLDER / f"{name}.safetensors", content)
    except OSError as error:
        log.warning("the weights of round %d can't be saved (%s); the run goes on", saved.round, error.strerror)


def files(folder: Path) -> list[Path]:
    """The files of weights in a run's folder, sorted by name."""
    return sorted((folder / FOLDER).glob("*.safetensors"))


def load(folder: Path, which: str | int | None) -> Saved:
    """The weights in a run's folder: "last", "best" or a round's number; None: "last" if it exists, otherwise "best".

    Raises UsageError if there are no such weights, or if the file is damaged.
    """
    names = [f"round{which:03d}" if isinstance(which, int) else which] if which is not None else ["last", "best"]
    found = {path.stem: path for path in files(folder)}
    path = next((found[name] for name in names if name in found), None)
    if path is None:
        there = ", ".join(found) or "none"
        raise UsageError(
            f"{folder} has no weights {' or '.join(names)} (there: {there}); run with save_weights=last, best or all "
            "(a finished run begins anew with overwrite=true), or train the last round's net again with al-run --export"
        )
    try:
        with safe_open(str(path), "pt") as file:
            facts = json.loads(file.metadata()["al_runner"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise UsageError(
            f"{path} can't be read ({error}); delete it; al-run --export trains the last round's net again"
        ) from error
    states = [tensors]
    if facts["nets"] > 1:
        states = [
            {name.removeprefix(f"{place}/"): value for name, value in tensors.items() if name.startswith(f"{place}/")}
            for place in range(facts["nets"])
        ]
    channels, height, width = facts["image_shape"]
    return Saved(states, tuple(facts["classes"]), (channels, height, width), facts["round"])


def state_of(net: nn.Module, names: Sequence[str]) -> dict[str, Tensor]:
    """The weights of a net, or of the net of the model inside it, under their `names` in the model.

    Raises UsageError if the net holds no net of these names.
    """
    state = net.state_dict()
    for prefix in ("", *(f"{name}." for name, _ in net.named_modules() if name)):
        if all(f"{prefix}{name}" in state for name in names):
            return {name: state[f"{prefix}{name}"] for name in names}
    raise UsageError(f"{type(net).__name__} holds no net with the model's layers, so its weights are not saved")
