from torch import nn

from al_runner.models.gal2017 import cnn
from al_runner.models.layers import seed_layers
from al_runner.models.masked_dropout import split
from al_runner.rng import stream


def test_the_paper_s_net_is_split_before_its_dense_part() -> None:
    trained = nn.Sequential(cnn((1, 28, 28), 10))
    seed_layers(trained, stream(0, "dropout"))
    prefix, rest = split(trained)
    assert [type(layer).__name__ for layer in prefix] == ["Conv2d", "ReLU", "Conv2d", "MaxPool2d", "ReLU", "Flatten"]  # type: ignore[attr-defined]
    assert [type(layer).__name__ for layer in rest] == ["MaskedLinear", "ReLU", "MaskedLinear"]  # type: ignore[attr-defined]
