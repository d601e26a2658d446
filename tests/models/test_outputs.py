"""Nets that do not give logits are named before any training."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from al_runner.errors import UsageError
from al_runner.models.outputs import require_outputs

CLASSES = 3
IMAGES = torch.randint(256, (2, 1, 4, 4), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


class Net(nn.Module):
    """The logits of one linear layer; `after` gets them together with the layer's input."""

    def __init__(self, after: Callable[[nn.Module, Tensor, Tensor], object], outputs: int = CLASSES):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.after = nn.Linear(16, outputs), after

    def forward(self, x: Tensor) -> object:
        hidden = x.flatten(1).float() / 255
        return self.after(self, self.linear(hidden), hidden)


def logits(net: nn.Module, out: Tensor, hidden: Tensor) -> Tensor:
    return out


@pytest.mark.parametrize(
    "after",
    [
        logits,
        lambda net, out, hidden: out.double(),
        lambda net, out, hidden: out.log_softmax(1),  # the softmax in the loss does not change it
        lambda net, out, hidden: out.sigmoid(),
        lambda net, out, hidden: out.relu(),
        lambda net, out, hidden: out * 0,
    ],
)
def test_logits_pass_without_a_warning(after: Callable[..., object], caplog: pytest.LogCaptureFixture) -> None:
    net = Net(after)
    require_outputs(net, IMAGES, CLASSES, "mine")
    assert not net.training
    assert caplog.messages == []


OTHER: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "pair": (lambda: Net(lambda net, out, hidden: (out, hidden)), "a tuple ([2, 3], [2, 16]) for 2 images in training"),
    "list": (lambda: Net(lambda net, out, hidden: [out, None]), "a list ([2, 3], NoneType) for 2 images in training"),
    "dict": (lambda: Net(lambda net, out, hidden: {"logits": out}), "a dict (logits: [2, 3]) for 2 images in training"),
    "fewer": (lambda: Net(logits, 2), "a tensor [2, 2] for 2 images in training mode"),
    "more": (lambda: Net(logits, 4), "a tensor [2, 4] for 2 images in training mode"),
    "maps": (lambda: Net(lambda net, out, hidden: out[..., None, None]), "a tensor [2, 3, 1, 1] for 2 images"),
    "one row": (lambda: Net(lambda net, out, hidden: out.mean(0, keepdim=True)), "a tensor [1, 3] for 2 images"),
    "classes": (lambda: Net(lambda net, out, hidden: out.argmax(1)), "a tensor int64 [2] for 2 images"),
    "whole numbers": (lambda: Net(lambda net, out, hidden: out.long()), "a tensor int64 [2, 3] for 2 images"),
    "nothing": (lambda: Net(lambda net, out, hidden: None), "NoneType for 2 images in training mode"),
    "numpy": (lambda: Net(lambda net, out, hidden: out.numpy()), "ndarray for 2 images in training mode"),
    "a pair in training": (
        lambda: Net(lambda net, out, hidden: (out, out) if net.training else out),
        "a tuple ([2, 3], [2, 3]) for 2 images in training mode",
    ),
    "a pair in evaluation": (
        lambda: Net(lambda net, out, hidden: out if net.training else (out, out)),
        "a tuple ([1, 3], [1, 3]) for 1 image in evaluation mode",
    ),
    "squeezed": (lambda: Net(lambda net, out, hidden: out.squeeze()), "a tensor [3] for 1 image in evaluation mode"),
}


@pytest.mark.parametrize(
    ("after", "line"),
    [
        (
            lambda net, out, hidden: out.detach(),
            "model=mine: no weight can be trained; let a weight",
        ),
        (lambda net, out, hidden: out * float("nan"), "model=mine gives NaN or infinite logits before training"),
    ],
)
def test_a_net_that_can_t_be_trained_is_one_line(after: Callable[..., object], line: str) -> None:
    with pytest.raises(UsageError, match=line):
        require_outputs(Net(after), IMAGES, CLASSES, "mine")


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_logits_of_less_than_single_precision_are_one_line(kind: torch.dtype) -> None:
    with pytest.raises(UsageError, match=rf"model=mine: its logits are {kind}, .* give logits\.float\(\)$"):
        require_outputs(Net(lambda net, out, hidden: out.to(kind)), IMAGES, CLASSES, "mine")


def test_a_net_without_a_weight_to_train_is_one_line() -> None:
    with pytest.raises(UsageError, match="no weight can be trained"):
        require_outputs(Net(logits).requires_grad_(False), IMAGES, CLASSES, "mine")


@pytest.mark.parametrize("kind", OTHER)
def test_anything_else_is_one_line(kind: str) -> None:
    make, gives = OTHER[kind]
    line = f"model=mine: a tensor of logits [n, 3] is needed, with a row for each image, and this net gives {gives}"
    with pytest.raises(UsageError, match=re.escape(line)):
        require_outputs(make(), IMAGES, CLASSES, "mine")


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        ([nn.Flatten(), nn.LazyLinear(CLASSES)], "1"),
        ([nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(CLASSES)], "0, 1, 3"),
    ],
)
def test_lazy_layers_are_named(layers: list[nn.Module], named: str) -> None:
    with pytest.raises(
        UsageError, match=rf"model=mine: lazy layers \({named}\) have no weights yet; give .* A tensor of"
    ):
        require_outputs(nn.Sequential(*layers), IMAGES, CLASSES, "mine")


@pytest.mark.parametrize("last", [nn.Softmax(1), nn.Softmax(-1)])
def test_a_softmax_at_the_end_gives_a_warning_only(last: nn.Module, caplog: pytest.LogCaptureFixture) -> None:
    require_outputs(Net(lambda net, out, hidden: last(out)), IMAGES, CLASSES, "mine")
    (line,) = caplog.messages
    assert line.startswith("model=mine gives probabilities, but the loss takes the softmax of a net's outputs itself; ")


def test_nothing_is_drawn_from_the_common_generator() -> None:
    before = torch.get_rng_state()
    require_outputs(nn.Sequential(nn.Flatten(), Floats(), nn.Dropout(), nn.Linear(16, 3)), IMAGES, CLASSES, "mine")
    net = torch.get_rng_state()
    torch.set_rng_state(before)
    nn.Linear(16, 3)
    assert torch.equal(torch.get_rng_state(), net)


class Floats(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.float()


OWN = """
from torch import nn

class Net(nn.Module):
    def __init__(self, image_shape, classes, kind):
        super().__init__()
        self.kind = kind
        pixels = image_shape[0] * image_shape[1] * image_shape[2]
        self.body = nn.LazyLinear(16) if kind == "lazy" else nn.Linear(pixels, 16)
        self.head = nn.Linear(16, classes - (kind == "fewer") + (kind == "more"))

    def forward(self, x):
        hidden = self.body(x.flatten(1)).relu()
        logits = self.head(hidden)
        if self.kind == "softmax":
            return logits.softmax(1)
        return (logits, hidden) if self.kind == "pair" else {"logits": logits} if self.kind == "dict" else logits
"""


@pytest.mark.parametrize("kind", ["pair", "dict", "lazy", "fewer", "more", "softmax", "logits"])
def test_a_user_s_net_is_checked_before_anything_is_written(tmp_path: Path, kind: str) -> None:
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "model" / f"{kind}.yaml").write_text(f"_target_: own.Net\n_partial_: true\nkind: {kind}\n")
    small = ["training.max_checks=1", "budget.initial=20", "budget.query=4", "budget.max_rounds=1", "strategy=random"]
    done = subprocess.run(
        [sys.executable, "-m", "al_runner.main", "--config-dir", "mine", f"model={kind}", *small],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [*tmp_path.glob("outputs/*/*/*/*/rounds.csv")]
    if kind in ("softmax", "logits"):
        assert (done.returncode, len(rows)) == (0, 1)
        assert ("model=softmax gives probabilities" in done.stdout + done.stderr) == (kind == "softmax")
    else:
        assert (done.returncode, rows) == (1, [])
        assert done.stderr.count("\n") == 1
        assert f"model={kind}: " in done.stderr
        assert "tensor of logits [n, 10] is needed" in done.stderr
        assert "Traceback" not in done.stderr
