"""One choice by any strategy, for your own net and tensors: no folder, no data set, no training.

N inputs in the pool, M labelled inputs, K nets or samples, Y classes.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

from al_runner.api.compose import composed, usage_errors, value_of
from al_runner.engine.drive import drive
from al_runner.engine.one_by_one import train_all
from al_runner.errors import FAULTS, UsageError
from al_runner.learners.committee import Committee
from al_runner.learners.plain import SingleNet
from al_runner.models.outputs import are_probabilities, described
from al_runner.needs import Gives
from al_runner.pool import Pool
from al_runner.rng import Streams, global_stream, stream
from al_runner.settings.check import options_below
from al_runner.settings.declare import accepted
from al_runner.settings.kinds import Count, CountOrZero
from al_runner.strategies.base import Strategy
from al_runner.strategies.choice import checked
from al_runner.system.chunks import chunks
from al_runner.system.text import one_line
from al_runner.types import NO_IDS, DataSet, Fitted

log = logging.getLogger(__name__)

DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


@dataclass(frozen=True)
class Sampled(SingleNet):
    """A net with `samples` draws of its own dropout, the same at every call with a `seed` (Gal & Ghahramani, 2016).

    `log_probs` is [N, samples, Y] in nats.
    """

    samples: int
    seed: int

    @torch.inference_mode()
    def log_probs(self, x: Tensor) -> Tensor:
        layers = [layer for layer in self.net.modules() if isinstance(layer, DROPOUT)]
        parts: list[Tensor] = []
        try:
            for layer in layers:
                layer.train()
            for part in chunks(x):
                with global_stream(stream(self.seed, "masks", len(parts)), x.device):
                    parts.append(torch.stack([self.net(part).log_softmax(-1) for _ in range(self.samples)], 1))
        finally:
            for layer in layers:
                layer.eval()
        return torch.cat(parts)


def choose(
    strategy: str | Strategy,
    *,
    net: nn.Module | Sequence[nn.Module],
    pool: Tensor,
    n: int,
    labelled: tuple[Tensor, Tensor] | None = None,
    samples: int | None = None,
    seed: int = 0,
    **options: object,
) -> Tensor:
    """Positions in `pool`, inputs [N, ...], of the `n` inputs to label next, int64 [n].

    `strategy` is the name of a file in conf/strategy, whose options may be given as `options`, or a `Strategy`. `net`
    is trained already; it turns inputs into logits [N, Y]. Several nets are an ensemble. They are in evaluation mode
    during the call. `samples` draws of one net's dropout are posterior samples, too. `labelled` are inputs [M, ...] and
    labels int64 [M] that the net was trained on; some strategies use them. `seed` decides everything that is random.

    Raises UsageError if an option is wrong, if the strategy needs something that is not given, if the net, the pool or
    `labelled` have another form, or if `n` is not 1 .. N.
    """
    nets = [*net] if isinstance(net, Iterable) and not isinstance(net, nn.Module) else [net]
    with usage_errors():
        chosen_by = strategy if isinstance(strategy, Strategy) else named(strategy, options)
        n, seed = accepted("n", n, Count), accepted("seed", seed, CountOrZero)
        samples = accepted("samples", samples, Count | None)
    require_inputs(nets, pool, n)
    modes = [(part, part.training) for one in nets for part in one.modules()]  # some layers may be frozen
    hooks = [one.register_forward_pre_hook(in_own_precision) for one in nets]
    try:
        for one in nets:
            one.eval()
        with torch.inference_mode(False), torch.enable_grad():  # some strategies need gradients
            fitted, gives = posterior(nets, samples, seed)
            data, ours = data_of(nets, pool, labelled), 0 if labelled is None else len(labelled[1])
            chosen_by.needs.require(gives, chosen_by.name)
            chosen_by.check(nets[0], data.images[-2:])
            query = asked(chosen_by, fitted, data, ours, n, Streams(seed, 1))
            return query - ours
    finally:
        for hook in hooks:
            hook.remove()
        for part, training in modes:
            part.training = training


def require_inputs(nets: Sequence[nn.Module], pool: Tensor, n: int) -> None:
    """Raises UsageError if there is no net, if the pool is no tensor [N, ...], or if `n` is not 1 .. N."""
    if not nets or not all(isinstance(one, nn.Module) for one in nets):
        raise UsageError("net must be a torch.nn.Module, or several of them; give a trained net")
    if not isinstance(pool, Tensor) or pool.ndim < 2:
        raise UsageError("pool must be a tensor of inputs [N, ...]; torch.as_tensor makes one of an array")
    require_finite(pool, "pool")
    if not 0 < n <= len(pool):
        raise UsageError(f"n is {n}, but the pool has {len(pool)} inputs; give a number from 1 to {len(pool)}")


def require_finite(inputs: Tensor, name: str) -> None:
    """Raises UsageError if an input is NaN or infinite; `name` is that of the argument."""
    if inputs.is_floating_point() and not bool(inputs.isfinite().all()):
        row = int(inputs.isfinite().flatten(1).all(1).int().argmin())
        raise UsageError(f"{name} has NaN or an infinite value in row {row}; leave such inputs out")


def classes_of(net: nn.Module, x: Tensor) -> int:
    """How many logits the net gives for each of the inputs. Raises UsageError if these are no logits of classes."""
    try:
        with torch.no_grad():
            out = net(x)
    except (RuntimeError, TypeError, ValueError) as error:
        raise UsageError(
            f"the net can't take the pool's inputs ({one_line(error)}); give inputs of another form"
        ) from error
    if not isinstance(out, Tensor) or out.ndim != 2 or len(out) != len(x) or not out.is_floating_point():
        raise UsageError(f"the net must give a tensor of logits, [n, classes], but it gives {described(out)}; wrap it")
    if out.shape[1] < 2:
        raise UsageError(
            "the net gives one logit for each input, and strategies need one for each class; wrap it so that it gives "
            "torch.cat([torch.zeros_like(z), z], 1) for its logit z"
        )
    if are_probabilities(out):
        log.warning(
            "the net gives probabilities, but strategies take the softmax of its outputs themselves; remove the "
            "softmax at the end of the net, or give the logarithm"
        )
    return out.shape[1]


def in_own_precision(net: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """A hook that converts inputs to the precision of the net: some strategies make a double-precision copy of it."""
    weights = next((weight for weight in net.parameters() if weight.is_floating_point()), None)
    if weights is None:
        return inputs
    return tuple(x.to(weights.dtype) if x.is_floating_point() else x for x in inputs)


def named(name: str, options: Mapping[str, object]) -> Strategy:
    """The strategy of conf/strategy/<name>.yaml; its options are checked like those of a run."""
    words = [f"strategy.{key}={value_of(value)}" for key, value in options.items()]
    with composed([f"strategy={value_of(str(name))}", *words]) as cfg:
        for key, value, annotation in options_below(cfg.strategy, "strategy", {}):
            accepted(key, value, annotation)
        made = instantiate(OmegaConf.create(OmegaConf.to_container(cfg.strategy, resolve=True)))
    assert isinstance(made, Strategy)
    return made.called(f"strategy={name}")


def posterior(nets: Sequence[nn.Module], samples: int | None, seed: int) -> tuple[Fitted, Gives]:
    """The nets in the form that a strategy asks, and what this form gives."""
    if len(nets) > 1:
        if samples is not None:
            raise UsageError("samples are draws of one net's dropout; give one net, or leave samples out")
        return Committee(nets, 0), Gives(samples=len(nets), network=False)
    if samples is None:
        return SingleNet(nets[0], 0), Gives()
    if not any(isinstance(layer, DROPOUT) and layer.p > 0 for layer in nets[0].modules()):
        raise UsageError("samples are draws of dropout, and the net has no dropout layer; give several nets instead")
    return Sampled(nets[0], 0, samples, seed), Gives(samples=samples, consistent=False)


def data_of(nets: Sequence[nn.Module], pool: Tensor, labelled: tuple[Tensor, Tensor] | None) -> DataSet:
    """A data set of the labelled inputs, then the pool. Raises UsageError if they don't fit each other or the nets."""
    pool = pool.clone() if pool.is_inference() else pool  # so that gradients can be computed
    classes, *others = (classes_of(net, pool[:2]) for net in nets)
    if any(other != classes for other in others):
        raise UsageError(f"the nets give {classes} and {others[0]} logits; all nets must have the same classes")
    given = (pool[:0], NO_IDS.to(pool.device)) if labelled is None else labelled
    x, y = given if isinstance(given, tuple | list) and len(given) == 2 else (None, None)
    if not isinstance(x, Tensor) or not isinstance(y, Tensor):
        raise UsageError("labelled must be two tensors, inputs and int64 labels; torch.as_tensor makes one of an array")
    if y.dtype != torch.int64 or y.ndim != 1 or len(x) != len(y):
        raise UsageError(
            "labelled must be inputs and int64 labels, one label for each input; "
            f"these are {list(x.shape)} and {y.dtype} {list(y.shape)}"
        )
    require_finite(x, "labelled")
    if x.shape[1:] != pool.shape[1:]:
        raise UsageError(f"labelled inputs are {list(x.shape[1:])} each, and those of the pool {list(pool.shape[1:])}")
    if len(y) and not 0 <= int(y.min()) <= int(y.max()) < classes:
        raise UsageError(
            f"labels are {int(y.min())} .. {int(y.max())}, but the net has {classes} classes; give 0 .. {classes - 1}"
        )
    x, y = x.to(pool.device), y.to(pool.device)  # often the pool is on a GPU, and the labelled inputs are not
    labels = torch.cat([y, y.new_zeros(len(pool))])
    ids = torch.arange(len(labels), device=pool.device)
    return DataSet(torch.cat([x, pool]), labels, ids, ids[:0], ids[:0], tuple(map(str, range(classes))))


def asked(strategy: Strategy, fitted: Fitted, data: DataSet, known: int, n: int, streams: Streams) -> Tensor:
    """The ids that the strategy chooses, int64 [n]; the first `known` ids are labelled."""
    if not strategy.queries:
        raise UsageError(f"{strategy.name} buys all labels at once and never chooses; use al_runner.run")
    pool = Pool(data)
    pool.buy(data.train[:known], data.labels[:known])
    try:
        answer = drive(strategy.query(fitted, pool, n, streams), train_all)
    except FAULTS:
        raise
    except ArithmeticError as error:
        raise UsageError(f"{strategy.name} can't choose: {error}; look at the net's weights and the inputs") from error
    except (RuntimeError, IndexError) as error:
        if known or isinstance(error, torch.OutOfMemoryError):
            raise
        raise UsageError(
            f"{strategy.name} can't choose without labelled inputs ({one_line(error)}); give labelled=(inputs, labels)"
        ) from error
    return checked(answer, pool, n, strategy).chosen
