"""What a strategy needs from a fitted model, what a learner's fits give, and the only comparison of the two."""

from dataclasses import astuple, dataclass
from operator import or_

from al_runner.errors import UsageError


@dataclass(frozen=True)
class Gives:
    """What every fit of a learner has; the defaults are those of a single net."""

    samples: int = 1  # K of `log_probs`
    consistent: bool = True  # sample k of `log_probs` is the same function for all images
    network: bool = True  # `network()`: there is exactly one net
    features: bool = True  # `features(x)`: there is a net at all
    extendable: bool = True  # a strategy may add layers to the net of every fit before it is trained


@dataclass(frozen=True)
class Needs:
    """What a strategy needs from a fit beside `log_probs`, which every fit has."""

    samples: bool = False  # K > 1 posterior samples
    consistent: bool = False  # K > 1 posterior samples, each the same function for all images
    network: bool = False  # `network()`
    features: bool = False  # `features(x)`
    extendable: bool = False  # fits to whose nets it can add layers

    def __or__(self, other: "Needs") -> "Needs":
        """What two strategies need if they choose together."""
        return Needs(*map(or_, astuple(self), astuple(other)))

    def unmet(self, gives: Gives) -> str | None:
        """The first thing that `gives` lacks, in words; None if it has everything."""
        if self.consistent and (gives.samples == 1 or not gives.consistent):
            return "several posterior samples, each the same net for all images"
        if self.samples and gives.samples == 1:
            return "several posterior samples"
        if self.network and not gives.network:
            return "one net's own weights, and this learner does not fit exactly one net"
        if self.features and not gives.features:
            return "a net's features, and this learner has no net"
        if self.extendable and not gives.extendable:
            other = "trains only the net of model=" if gives.features else "has no net"
            return f"a net to which it can add layers, and this learner {other}"
        return None

    @property
    def remedy(self) -> str:
        """The learners that give everything needed, in words."""
        if not (self.samples or self.consistent):
            return "learner=plain"
        if self.consistent:
            shared = "learner=dropout learner.shared_masks=true"
            return shared if self.network else f"learner=ensemble, or {shared}"
        return "learner=dropout" if self.network else "learner=dropout, ensemble or bootstrap"

    def require(self, gives: Gives, who: str) -> None:
        """Raises UsageError, which names a learner to use, if `gives` lacks something that the strategy `who` needs."""
        lacking = self.unmet(gives)
        if lacking is not None:
            raise UsageError(f"{who} needs {lacking}; use {self.remedy}")
