"""Several nets that differ in their random choices alone (Lakshminarayanan et al., 2017; Beluch et al., 2018)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.learners.committee import Committee
from al_runner.rng import Streams, global_stream
from al_runner.types import Fit, Fitted, Recipe, TrainData, trained


@dataclass(frozen=True)
class Ensemble:
    """`members` nets on the same data, each of its own initial weights, minibatch order and dropout masks.

    With `shared_init` the initial weights are the same for all (an ablation of Beluch et al., 2018).
    """

    build: Callable[[], nn.Module]
    recipe: Recipe
    members: int = 5
    shared_init: bool = False
    continues: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.members < 1:
            raise UsageError(f"learner.members is {self.members}; it must be 1 or more")

    @property
    def samples(self) -> int:
        return self.members

    @property
    def nets(self) -> int:
        return self.members

    async def fit(self, data: TrainData, streams: Streams, previous: Fitted | None = None) -> Committee:
        start = self._weights(streams) if self.shared_init else None
        fits = [Fit(self.build, self.recipe, data, streams.of(i), start=start) for i in range(self.members)]
        return Committee.of(await trained(fits))

    def _weights(self, streams: Streams) -> dict[str, Tensor]:
        """Initial weights, those that learner=plain starts from."""
        streams = streams.first_round() if self.recipe.same_init else streams
        with global_stream(streams("init")):
            net = self.build()
            if self.recipe.init is not None:
                self.recipe.init(net)
        return net.state_dict()
