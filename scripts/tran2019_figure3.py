"""Figure 3 of Tran et al. (2019): the distance ||x' - x*|| of twins from bought images while the nets are trained.

    AL_DATA=data python scripts/tran2019_figure3.py --out outputs/reproduced/tran2019_mnist_small

Trains experiment=tran2019_mnist_small learner=vae_acgan_small once a seed, on random labelled images. Every few steps
the twins of labelled images and of unlabelled ones are made by the nets as they are then, in evaluation mode, with the
true labels; pixels are in [0, 1]. The dashed lines are the distance of the class's mean image: twins above it say less
than the label alone. Lines are means over seeds; bands go from the lowest to the highest seed. Writes figure3.csv and
figure3.png.
"""

from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from al_runner.api.compose import composed
from al_runner.engine.drive import drive
from al_runner.generative.losses import distances
from al_runner.generative.parts import WHITE, Parts
from al_runner.generative.vae_acgan import VaeAcgan as Step
from al_runner.job.build import build
from al_runner.learners.vae_acgan import VaeAcgan
from al_runner.pool import Pool, random_ids
from al_runner.rng import Streams
from al_runner.training import Loss, Move, Recipe

LEARNER = ["experiment=tran2019_mnist_small", "learner=vae_acgan_small", "device=cpu"]
COLOURS = {"labelled": "#d55e00", "unlabelled": "#0072b2"}
SHOWN = 200  # images whose twins are measured


@dataclass(frozen=True)
class Watched:
    """A joint training, and what `measure` finds in the nets after every `every` steps."""

    base: Step
    every: int
    measure: Callable[[Parts], Mapping[str, float]]
    seen: list[dict[str, float]] = field(default_factory=list, repr=False)
    steps: list[int] = field(default_factory=lambda: [0], repr=False)

    def recipes(self, recipe: Recipe) -> Mapping[str, Recipe]:
        return self.base.recipes(recipe)

    def latents(self, count: int, rng: torch.Generator) -> Tensor:
        return self.base.latents(count, rng)

    def step(self, net: Parts, x: Tensor, y: Tensor, loss: Loss, move: Move, rng: torch.Generator) -> Tensor:
        loss_of_step = self.base.step(net, x, y, loss, move, rng)
        self.steps[0] += 1
        if self.steps[0] % self.every == 0:
            self.seen.append({"step": self.steps[0], **self.measure(net.eval())})
            net.train()
        return loss_of_step


@dataclass(frozen=True)
class Watching(VaeAcgan):
    """The learner, with a joint training that is watched."""

    watched: Watched | None = None

    @property
    def joint(self) -> Watched:  # type: ignore[override]  # it makes the same nets by the same steps
        assert self.watched is not None
        return self.watched


def measured(seed: int, labels: int, every: int, words: Sequence[str]) -> pd.DataFrame:
    """The distances in one training on `labels` random images: step, seed, images, distance, class_mean."""
    with composed([*LEARNER, f"seed={seed}", *words]) as cfg:
        experiment = build(cfg, torch.device("cpu"))
    data, learner = experiment.data, experiment.learner
    assert isinstance(learner, VaeAcgan)
    pool = Pool(data)
    ids = random_ids(pool, labels, Streams(seed, 0)("initial"))
    pool.buy(ids, data.labels[ids])
    some = {"labelled": pool.labelled[:SHOWN], "unlabelled": random_ids(pool, SHOWN, Streams(seed, 0)("shown"))}
    x = pool.x(pool.labelled) / WHITE
    means = torch.stack([x[data.labels[pool.labelled] == label].mean(0) for label in range(len(data.classes))])

    def to_twins(net: Parts) -> dict[str, float]:
        return {
            name: distances(net.twins(pool.x(ids), data.labels[ids]), pool.x(ids) / WHITE).mean().item()
            for name, ids in some.items()
        }

    watched = Watched(learner.joint, every, to_twins)
    drive(Watching(**vars(learner), watched=watched).fit(experiment.train_data(pool), Streams(seed, 0)))
    table = pd.DataFrame(watched.seen).melt("step", var_name="images", value_name="distance").assign(seed=seed)
    to_mean = {
        name: distances(means[data.labels[ids]], pool.x(ids) / WHITE).mean().item() for name, ids in some.items()
    }
    return table.assign(class_mean=table["images"].map(to_mean))


def drawn(table: pd.DataFrame) -> Figure:
    with mpl.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(4.2, 2.8), layout="constrained")
        axes = figure.subplots()
        for name, part in table.groupby("images"):
            values = part.groupby("step")["distance"].agg(["mean", "min", "max"])
            colour = COLOURS[str(name)]
            axes.plot(values.index, values["mean"], color=colour, label=f"twins of {name} images")
            axes.fill_between(values.index, values["min"], values["max"], color=colour, alpha=0.15, linewidth=0)
            axes.axhline(part["class_mean"].mean(), color=colour, linewidth=0.8, linestyle="--")
        axes.set_xlabel("steps of training")
        axes.set_ylabel("distance ||x' - x*||, pixels in [0, 1]")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)
    return figure


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--labels", type=int, default=500, help="labelled images that the nets are trained on")
    parser.add_argument("--every", type=int, default=20, help="steps from one measurement to the next")
    parser.add_argument("words", nargs="*", help="more settings, as of al-run: training.check_every=2000")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    parts = [measured(seed, options.labels, options.every, options.words) for seed in range(options.seeds)]
    table = pd.concat(parts, ignore_index=True)
    table.to_csv(options.out / "figure3.csv", index=False, float_format="%.4f")
    drawn(table).savefig(options.out / "figure3.png", dpi=200)
    print(table.groupby(["images", "step"])["distance"].mean().unstack("images").round(3).iloc[::5].to_string())
