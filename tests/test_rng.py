import torch
from torch import nn

from al_runner.rng import Streams, global_stream, stream


def draw(generator: torch.Generator) -> float:
    return float(torch.rand(1, generator=generator))


def test_a_stream_depends_on_its_three_names_alone() -> None:
    first = draw(stream(3, "query", 5))
    torch.manual_seed(99)
    draw(stream(3, "order", 5))
    assert draw(stream(3, "query", 5)) == first
    assert draw(Streams(3, 5)("query")) == first


def test_streams_differ_in_every_name() -> None:
    names = [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1), (10, "a", 0), (1, "a", 10)]
    assert len({draw(stream(*name)) for name in names}) == len(names)


def test_the_streams_of_a_part_of_a_part_are_its_own() -> None:
    """A batch of one level is not drawn as that of another level, nor as one of no level."""
    whole = Streams(3, 5)
    parts = [whole, whole.of("b"), whole.of("a"), whole.of("a").of("b"), whole.of("c").of("b"), whole.of("b").of("a")]
    assert len({draw(part("query")) for part in parts}) == len(parts)
    assert draw(whole.of("a").of("b").first_round()("query")) == draw(Streams(3, 0).of("a").of("b")("query"))
    shared = whole._replace(shared="order")
    assert draw(shared.of("a")("order")) == draw(whole("order"))
    assert draw(shared.of("a")("init")) == draw(whole.of("a")("init"))


def test_a_stream_is_the_same_on_every_machine() -> None:
    assert stream(0, "initial", 0).initial_seed() == 8799583517682159850


def test_the_global_generator_is_borrowed_and_given_back() -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    with global_stream(stream(0, "init")):
        first = nn.Linear(2, 2).weight
    assert torch.equal(torch.random.get_rng_state(), before)
    with global_stream(stream(0, "init")):
        assert torch.equal(nn.Linear(2, 2).weight, first)
