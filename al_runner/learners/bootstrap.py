"""Several nets, each on its own resample of the bought examples (Breiman, 1996; Yang et al., 2017)."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from al_runner.learners.committee import Committee, Members
from al_runner.rng import Streams
from al_runner.settings.declare import options
from al_runner.settings.kinds import Few, Means
from al_runner.types import Fit, Fitted, TrainData, trained


@options("learner")
@dataclass(frozen=True)
class Bootstrap(Members):
    """`members` nets, each trained on as many examples as were bought, drawn from them with replacement.

    With `stratified` every class keeps its number of examples, so that none is missing from a member's.
    """

    members: Annotated[Few, Means("nets")] = 4
    stratified: Annotated[
        bool, Means("every class keeps its number of examples; false: one may be missing from a net's")
    ] = True

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> Committee:
        members = [streams.of(member) for member in range(self.members)]
        drawn = [resample(data.y, self.stratified, own("bootstrap")) for own in members]
        if not self.recipe.reshuffle:  # which keeps the order of purchase; a stratified resample comes class by class
            drawn = [rows.sort().values for rows in drawn]
        resampled = [data._replace(x=data.x[rows], y=data.y[rows]) for rows in drawn]
        fits = [Fit(self.build, self.recipe, part, own) for part, own in zip(resampled, members, strict=True)]
        return Committee.of(await trained(fits))


def resample(y: Tensor, stratified: bool, rng: torch.Generator) -> Tensor:
    """As many positions as labels, drawn with replacement, of every class as many as it has if `stratified`, [N]."""
    groups = [(y == label).nonzero()[:, 0] for label in y.unique()] if stratified else [torch.arange(len(y))]
    return torch.cat(
        [group[torch.randint(len(group), (len(group),), generator=rng).to(group.device)] for group in groups]
    )
