"""EMOC against Jacobians multiplied out, finite differences, and sets taken one by one."""

from functools import partial
from itertools import product

import configs
import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor, nn
from torch.func import functional_call, jacrev
from torch.nn.functional import cross_entropy

from al_runner.errors import UsageError
from al_runner.fisher.capture import label_loss
from al_runner.learners.plain import SingleNet
from al_runner.pool import Pool, shuffled
from al_runner.rng import stream
from al_runner.strategies import emoc
from al_runner.strategies.emoc import OUTPUTS, Emoc, output_changes, set_labels

X = torch.rand(9, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
OVER = torch.rand(7, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
Y = torch.arange(9) % 3


def flat(tensors: dict[str, Tensor], keep: int) -> Tensor:
    return torch.cat([tensor.flatten(keep) for tensor in tensors.values()], keep)


def multiplied_out(net: nn.Module, outputs: str) -> Tensor:
    """E_x ||J g||_1 with the whole Jacobian J, [E, Y, P], of every image's gradient g, [P]."""
    weights = {name: weight.detach() for name, weight in net.named_parameters()}
    jacobian = jacrev(lambda w: OUTPUTS[outputs](functional_call(net, w, (OVER,))))(weights)
    found = []
    for x, y in zip(X, Y, strict=True):
        loss = cross_entropy(net(x[None]), y[None])
        gradient = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(net.parameters()))])
        found.append((flat(jacobian, 2) @ gradient).abs().sum(1).mean())
    return torch.stack(found)


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_changes_are_the_jacobian_times_the_gradient(net: nn.Module, outputs: str) -> None:
    expected = multiplied_out(net, outputs)
    assert torch.allclose(output_changes(net, X, Y, OVER, outputs), expected, rtol=1e-12)


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_changes_are_the_limit_of_a_step_along_the_gradient(net: nn.Module, outputs: str) -> None:
    """Central differences: their error falls with the square of the step."""
    changes, errors = output_changes(net, X, Y, OVER, outputs), []
    for gamma in (1e-2, 1e-3):
        found = []
        for x, y in zip(X, Y, strict=True):
            gradients = torch.autograd.grad(cross_entropy(net(x[None]), y[None]), list(net.parameters()))
            sides = []
            for sign in (1, -1):
                weights = {
                    name: (weight + sign * gamma * gradient).detach()
                    for (name, weight), gradient in zip(net.named_parameters(), gradients, strict=True)
                }
                sides.append(OUTPUTS[outputs](functional_call(net, weights, (OVER,))))
            found.append(((sides[0] - sides[1]) / (2 * gamma)).abs().sum(1).mean())
        errors.append(float((torch.stack(found) / changes - 1).abs().max()))
    assert errors[1] < 1e-6
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_both_ways_agree_with_every_kind_of_layer(outputs: str) -> None:
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 2, bias=False),
        nn.BatchNorm2d(4),
        nn.Tanh(),
        nn.Conv2d(4, 6, 2, groups=2, padding=1),
        nn.GroupNorm(2, 6),
        nn.Flatten(2),
        nn.Linear(16, 5),  # at six positions
        nn.LayerNorm(5),
        nn.Flatten(),
        nn.Linear(30, 3),
    )
    net.double()(X)  # running statistics of its own
    net.eval()
    layers = emoc.layers_of_all_weights(net, X[:1])
    assert len(layers) == 7
    expected = multiplied_out(net, outputs)
    assert torch.allclose(emoc.changes_by_layers(net, X, Y, OVER, outputs, layers), expected, rtol=1e-10)
    assert torch.allclose(emoc.changes_in_forward_mode(net, X, Y, OVER, outputs), expected, rtol=1e-10)


def test_parts_make_no_difference(net: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = emoc.layers_of_all_weights(net, X[:1])
    whole = emoc.changes_by_layers(net, X, Y, OVER, "logits", layers)
    jacobian = emoc.gradient_size(net, OVER[:1], emoc.output_sums("logits"), layers)
    candidate = emoc.gradient_size(net, X[:1], label_loss(Y[:1]), layers)
    for most in (2 * jacobian, candidate):  # with the second, candidates' gradients are formed one by one
        monkeypatch.setattr(emoc, "MAX_NUMBERS", {"cpu": most})
        assert torch.allclose(emoc.changes_by_layers(net, X, Y, OVER, "logits", layers), whole, rtol=1e-12)
    whole = emoc.changes_in_forward_mode(net, X, Y, OVER, "logits")
    monkeypatch.setattr(emoc, "GRADIENTS", 2)
    monkeypatch.setattr(emoc, "IMAGES", {"cpu": 3, "cuda": 3})
    assert torch.allclose(emoc.changes_in_forward_mode(net, X, Y, OVER, "logits"), whole, rtol=1e-12)


class Scaled(nn.Module):
    """Has a weight that is not in a layer with a Fisher block."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((3,), 2.0, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


@pytest.mark.parametrize("why", ["a weight elsewhere", "half a layer frozen", "a Jacobian too large"])
def test_forward_mode_is_used_if_layers_do_not_suffice(
    why: str, net: nn.Sequential, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_layers: list[object] = []
    monkeypatch.setattr(emoc, "changes_by_layers", lambda *args: by_layers.append(args))
    output_changes(net, X, Y, OVER)
    assert len(by_layers) == 1
    if why == "a weight elsewhere":
        net.append(Scaled())
    elif why == "half a layer frozen":
        next(net.parameters()).requires_grad_(False)
    else:
        monkeypatch.setattr(emoc, "MAX_NUMBERS", {"cpu": 100})
    expected = emoc.changes_in_forward_mode(net, X, Y, OVER, "logits")
    assert torch.equal(output_changes(net, X, Y, OVER), expected)
    assert len(by_layers) == 1
    if why == "a weight elsewhere":
        assert torch.allclose(expected, multiplied_out(net, "logits"), rtol=1e-12)


def test_frozen_weights_do_not_change(net: nn.Sequential) -> None:
    before = output_changes(net, X, Y, OVER)
    net[0].requires_grad_(False)
    after = output_changes(net, X, Y, OVER)
    assert bool((after < before).all())
    assert torch.allclose(after, emoc.changes_in_forward_mode(net, X, Y, OVER, "logits"), rtol=1e-12)


@pytest.mark.parametrize("model", configs.models())
def test_every_model_has_forward_mode_derivatives(model: str) -> None:
    torch.manual_seed(0)
    net = instantiate(configs.model(model))((1, 28, 28), 3).eval()
    Emoc().check(net, torch.rand(2, 1, 28, 28))


def test_a_net_without_them_is_refused_before_any_training() -> None:
    class Own(torch.autograd.Function):
        @staticmethod
        def forward(x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def setup_context(ctx: object, inputs: object, output: object) -> None: ...

        @staticmethod
        def backward(ctx: object, gradient: Tensor) -> Tensor:  # type: ignore[override]
            return gradient

    class Net(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = Own.apply(super().forward(x.flatten(1)))  # type: ignore[no-untyped-call]
            return out

    with pytest.raises(UsageError, match="forward-mode derivatives"):
        Emoc().check(Net(16, 3), torch.rand(2, 1, 4, 4))


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_single_images_are_chosen_by_the_change_of_their_likeliest_label(
    outputs: str, net: nn.Module, pool: Pool
) -> None:
    over = pool.x(torch.arange(10, 50))  # the training set
    x = pool.x(pool.candidates)
    changes = [output_changes(net, image[None], net(image[None]).argmax(1), over, outputs)[0] for image in x]
    order = torch.stack(changes).argsort(descending=True)[:5]
    chosen = Emoc(images=None, outputs=outputs).select(SingleNet(net, 0), pool, 5, stream(0, "query"))
    assert torch.equal(chosen, pool.candidates[order])


def test_the_set_of_largest_summed_change_under_its_common_label_is_chosen(net: nn.Module, pool: Pool) -> None:
    with torch.no_grad():  # predictions of every class
        net[5].weight *= 10  # type: ignore[index]
        net[5].bias -= net(pool.x(torch.arange(60))).mean(0)  # type: ignore[index]
    pool.draw_candidates(100, stream(0, "candidates"))
    pool.offer(shuffled(pool.candidates, stream(0, "sets"))[:32].view(8, 4))
    over, found, by_mean = pool.x(torch.arange(10, 50)), [], list[bool]()
    for ids in pool.sets:
        x = pool.x(ids)
        p = net(x).softmax(1)
        y = int(p.prod(0).argmax())
        by_mean.append(int(p.mean(0).argmax()) == y)
        found.append(sum(float(output_changes(net, image[None], torch.tensor([y]), over)) for image in x))
    chosen = Emoc(images=None).select(SingleNet(net, 0), pool, 4, stream(0, "query"))
    assert torch.equal(chosen, pool.sets[int(torch.tensor(found).argmax())])
    assert not all(by_mean)  # the class of the highest mean probability is another
    own = net(pool.x(pool.sets.flatten())).argmax(1).view(8, 4)
    agree = own == set_labels(SingleNet(net, 0), pool)[:, None]
    assert 8 < int(agree.sum()) < 32


def test_outputs_are_compared_on_random_training_images(net: nn.Module, pool: Pool) -> None:
    fitted, seen = SingleNet(net, 0), []

    def spy(*args: object, over: Tensor) -> Tensor:
        seen.append(over)
        return torch.arange(len(args[0]), dtype=torch.float64)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emoc, "output_changes", lambda net, x, y, over, outputs: spy(x, over=over))
        for seed, images in product((0, 0, 1), (6, None)):
            Emoc(images=images).select(fitted, pool, 3, stream(seed, "query"))
    first, everything, again, _, other, _ = seen
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    training = pool.x(torch.arange(10, 50)).flatten(1)
    assert torch.equal(everything.flatten(1).sort(0).values, training.sort(0).values)
    assert all(bool((row == training).all(1).any()) for row in first.flatten(1))
    assert len(first) == 6


@pytest.mark.parametrize(
    ("options", "named"),
    [({"images": 0}, r"strategy\.images"), ({"outputs": "labels"}, "it must be logits or probabilities")],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        partial(Emoc, **options)()
