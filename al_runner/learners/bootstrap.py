"""Several nets, each trained on its own resample of the labelled set (Breiman, 1996; Yang et al., 2017)."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from al_runner.learners.committee import Committee, Members
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Few, Means
from al_runner.training import Fit, trained
from al_runner.types import Fitted, TrainData


@options("learner")
@dataclass(frozen=True)
class Bootstrap(Members):
    """`members` nets; each is trained on a resample of the labelled set, drawn with replacement and equally large.

    With `stratified` every class keeps its number of examples, so no class is missing from a resample.
    """

    members: Annotated[Few, Means("nets")] = 4
    stratified: Annotated[
        bool, Means("every class keeps its number of examples; false: a class may be missing from a net's resample")
    ] = True

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> Committee:
        members = [streams.of(member) for member in range(self.members)]
        drawn = [resample(data.y, self.stratified, own("bootstrap")) for own in members]
        if not self.recipe.reshuffle:  # keeps the order of purchase: a stratified resample is sorted by class
            drawn = [rows.sort().values for rows in drawn]
        resampled = [data._replace(x=data.x[rows], y=data.y[rows]) for rows in drawn]
        fits = [Fit(self.build, self.recipe, part, own) for part, own in zip(resampled, members, strict=True)]
        return Committee.of(await trained(fits))


def resample(y: Tensor, stratified: bool, rng: torch.Generator) -> Tensor:
    """N positions of the labels `y`, [N], drawn with replacement; if `stratified`, as many of each class as in `y`."""
    groups = [(y == label).nonzero()[:, 0] for label in y.unique()] if stratified else [torch.arange(len(y))]
    return torch.cat(
        [group[torch.randint(len(group), (len(group),), generator=rng).to(group.device)] for group in groups]
    )
