"""Features of the user's own module."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import torch
from safetensors.torch import load_file
from torch import nn

from al_runner.errors import UsageError
from al_runner.features.base import source_of
from al_runner.features.nets import Frozen, OfNet, hash_of
from al_runner.models.photographs import Transform
from al_runner.rng import global_stream, stream
from al_runner.settings.declare import options
from al_runner.settings.kinds import AtLeastOne, Means, Positive
from al_runner.system.text import one_line
from al_runner.types import DataSet


@options("features")
@dataclass(frozen=True)
class Own(OfNet):
    """What the user's own net gives for an image: `net` names a class or a function that makes the net.

    The net maps floats [n, C, H, W], (values in 0 .. 1 - mean) / std, to features [n, D]. The file's name has a hash of
    its weights and of the source text of its module.
    """

    net: Annotated[str, Means("the class or function that makes the net, such as mine.MyNet")] = ""
    arguments: Annotated[Mapping[str, Any], Means("what it is called with")] = field(default_factory=dict)
    weights: Annotated[
        str | None, Means("a .safetensors file, or a .pt file of a state_dict, that is loaded into the net; null: none")
    ] = None
    mean: Annotated[
        AtLeastOne[float],
        Means("taken from the channels of an image whose values are 0 to 1: one for all, or one each"),
    ] = (0.0,)
    std: Annotated[AtLeastOne[Positive], Means("what the channels are divided by then: one for all, or one each")] = (
        1.0,
    )

    @property
    def label(self) -> str:
        return self.net.rpartition(".")[2] or "own"

    def require(self, data: DataSet | None = None) -> None:
        if "." not in self.net:
            raise UsageError(
                "features=own needs features.net=MODULE.NAME, a class or function that makes a net, such as mine.MyNet"
            )
        if data is not None and any(len(values) not in (1, data.image_shape[0]) for values in (self.mean, self.std)):
            raise UsageError(
                f"features.mean and features.std are {[*self.mean]} and {[*self.std]}; give one number, or "
                f"{data.image_shape[0]}, one for each channel"
            )

    @property
    def made_by(self) -> Callable[..., Any]:
        """The class or function. Raises UsageError if it can't be imported."""
        module, _, name = self.net.rpartition(".")
        try:
            return getattr(import_module(module), name)  # type: ignore[no-any-return]
        except (ImportError, AttributeError, SyntaxError) as error:
            raise UsageError(
                f"features.net={self.net} can't be imported ({one_line(error)}); its file may lie in the folder where "
                "al-run is started, or in that of --config-dir"
            ) from error

    def load(self) -> Frozen:
        self.require()
        try:
            with global_stream(stream(0, "features")):
                net = self.made_by(**self.arguments)
        except (TypeError, ValueError, RuntimeError) as error:
            raise UsageError(
                f"features.net={self.net} can't be made: {one_line(error)}; look at features.arguments"
            ) from error
        if self.weights is not None:
            put(Path(self.weights).expanduser(), net)
        net = net.eval().requires_grad_(False) if isinstance(net, nn.Module) else net
        weights = hash_of(net) if isinstance(net, nn.Module) else ""
        transform = Transform(self.size, tuple(self.mean), tuple(self.std), colour=False)
        return Frozen(net, transform, f"{weights} {self.net} {dict(self.arguments)} {source_of(self.made_by)}")


def put(file: Path, net: nn.Module) -> None:
    """Load the weights of a file into a net. Raises UsageError if the file can't be read or does not fit."""
    try:
        state = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
        net.load_state_dict(state)
    except Exception as error:  # safetensors, pickle and torch each raise errors of their own
        raise UsageError(
            f"features.weights={file} can't be loaded into the net ({one_line(error)}); name a .safetensors file, or a "
            ".pt file, with the state_dict of this net"
        ) from error
