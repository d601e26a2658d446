"""What a run is, in three lines: its data, its net, its rounds and its folder."""

import os
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import torch

from al_runner.labels import NAMELESS
from al_runner.system.text import counted
from al_runner.types import DataSet, Learner


class Planned(Protocol):
    """A run that is ready to start."""

    @property
    def data(self) -> DataSet: ...

    @property
    def learner(self) -> Learner: ...

    @property
    def purchases(self) -> Sequence[int]:
        """Labels bought in every round."""

    @property
    def set_aside(self) -> Sequence[int]:
        """How many of the labelled images are for validation in every round."""


def header(run: Mapping[str, Any], planned: Planned, device: torch.device, folder: Path) -> list[str]:
    """The lines; `run` holds the names of the run's choices, as RunId does."""
    return [
        f"data: {data_of(planned.data)}",
        f"net: {net_of(run, planned.learner)} on {device_of(device)}",
        f"{rounds_of(planned.purchases, planned.set_aside)}; folder {os.path.relpath(folder)}",
    ]


def data_of(data: DataSet) -> str:
    """The sizes of a data set's parts, and the form of its images."""
    channels, height, width = data.image_shape
    form = f"vectors of {channels:,} numbers" if height == width == 1 else f"images of {height} x {width} pixels"
    colours = f" in {channels} channels" if channels > 1 and height * width > 1 else ""
    held = f"{len(data.val):,} for validation, " if len(data.val) else ""
    idle = f"{data.unused:,} unused (dataset.split.val=0 adds them to these), " if data.unused else ""
    parts = f"{len(data.train):,} to choose from, {idle}{held}{len(data.test):,} for the test"
    named = len({*data.classes}.difference(NAMELESS))
    classes = {0: "no class yet", 1: "1 class so far"}.get(named, f"{named} classes")
    return f"{form}{colours}, {classes}; {parts}"


def net_of(run: Mapping[str, Any], learner: Learner) -> str:
    """The net's name, its number of parameters, and who trains it how; a learner without nets is named alone."""
    trained = f"learner {run['learner']}, training {run['training']}"
    build = getattr(learner, "build", None)
    if build is None:
        return f"none, {trained}"
    with torch.random.fork_rng(devices=[]):
        parameters = sum(parameter.numel() for parameter in build().parameters())
    return f"{run['model']} with {parameters:,} parameters, {trained},"


def device_of(device: torch.device) -> str:
    """The device's name, with the GPU's or the number of CPU threads."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({counted(torch.get_num_threads(), 'thread')})" if device.type == "cpu" else str(device)


def rounds_of(purchases: Sequence[int], set_aside: Sequence[int]) -> str:
    """How many rounds there are, and how many labels at their ends, also of images that are set aside."""
    totals = list(accumulate(purchases))
    if len(totals) == 1:
        aside = f", {set_aside[-1]:,} of them for validation" if any(set_aside) else ""
        return f"1 round with {counted(totals[0], 'label')}{aside}"
    aside = f", of them {set_aside[0]:,} to {set_aside[-1]:,} for validation" if any(set_aside) else ""
    return f"{len(totals)} rounds, from {counted(totals[0], 'label')} to {totals[-1]:,}{aside}"
