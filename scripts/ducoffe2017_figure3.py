"""Figure 3 of Ducoffe & Precioso (2017): seconds for one choice against the size of the query, on the USPS net.

As in the paper, there are 30 candidates for each image of the query, and seconds are processor time. Differences to
the paper: one CPU thread instead of a GPU; an untrained net and random images, which need the same operations; and the
rule is KFAC-VFE with the target of eq. 19. Other panels, which the paper does not have, change one size only: the
query, the candidates, the pool, or the width of the net. The other sizes are then those of the paper at the start of a
run. All points are timed in turn, again and again, so a change of the machine's speed affects all of them. Writes
seconds.csv and seconds.png, and prints the slopes of log seconds on log size.

    python scripts/ducoffe2017_figure3.py --out outputs/reproduced/ducoffe2017_figure3
"""

from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import process_time

import matplotlib as mpl
import pandas as pd
import torch
from matplotlib.figure import Figure
from scipy.stats import linregress

from al_runner.models.ducoffe2017 import cnn
from al_runner.models.inputs import NetBuilder
from al_runner.rng import global_stream, stream
from al_runner.strategies.kfac_vfe import KfacVfe

POOL, QUERY, TIMES = 4177, 8, 30  # the paper's protocol at the start of a run; candidates are 30 times the query
CANDIDATES = TIMES * QUERY
AXES = {
    "figure3": ("images in the query,\ncandidates 30 times as many", (8, 16, 32, 64, 128)),
    "query": ("images in the query,\n240 candidates", (8, 16, 32, 64, 128)),
    "candidates": ("candidates,\n8 images in the query", (240, 480, 960, 1920, 3840)),
    "pool": ("unlabelled images\nin the pool", (500, 1000, 2000, 4000, 8000)),
    "width": ("width of the net,\ntimes the paper's", (1, 2, 3, 4)),
}


def acquisition(
    query: int = QUERY, candidates: int = CANDIDATES, pool: int = POOL, width: int = 1
) -> Callable[[], object]:
    """One whole choice of KFAC-VFE: the pool's factors, their inverses, the candidates' traces, the greedy search."""
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (pool, 1, 16, 16), generator=rng, dtype=torch.uint8)
    model = partial(cnn, pool=(False, True), hidden=(300 * width, 50 * width), channels=20 * width)
    with global_stream(stream(0, "init")):
        net = NetBuilder(model, (1, 16, 16), 10, torch.tensor([127.5]), torch.tensor([73.9]))()
    net = net.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return lambda: KfacVfe(target="parameters").choose(net, images, query, images[:candidates])


def point(axis: str, size: int) -> Callable[[], object]:
    """The choice for one point of an axis."""
    changed = {"query": size, "candidates": TIMES * size} if axis == "figure3" else {axis: size}
    return acquisition(**changed)


def measured(repeats: int) -> pd.DataFrame:
    """Processor seconds of every point, `repeats` times each."""
    choices = {(axis, size): point(axis, size) for axis, (_, sizes) in AXES.items() for size in sizes}
    for choose in choices.values():
        choose()
    rows = []
    for repeat in range(repeats):
        for (axis, size), choose in choices.items():
            start = process_time()
            choose()
            rows.append({"axis": axis, "size": size, "repeat": repeat, "seconds": process_time() - start})
    return pd.DataFrame(rows)


def drawn(table: pd.DataFrame) -> Figure:
    """A panel for each axis: all times, their medians, and the slope."""
    with mpl.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(11, 2.8), layout="constrained")
        for axes, (axis, (name, sizes)) in zip(figure.subplots(1, len(AXES), sharey=True), AXES.items(), strict=True):
            part = table[table["axis"] == axis]
            axes.plot(part["size"], part["seconds"], ".", color="#888888", markersize=3)
            medians = part.groupby("size")["seconds"].median()
            axes.plot(medians.index, medians, color="#0072B2", marker="o", markersize=4)
            axes.set(xscale="log", yscale="log", xlabel=name, xticks=sizes, xticklabels=sizes)
            axes.minorticks_off()
            axes.set_title(f"slope {slope(part):z.2f}", loc="left", fontsize=8)
        figure.axes[0].set_ylabel("processor seconds for one acquisition")
    return figure


def slope(part: pd.DataFrame) -> float:
    """The slope of log seconds on log size: 1 means linear time, 0 constant time."""
    logs = part[["size", "seconds"]].transform("log")
    return float(linregress(logs["size"], logs["seconds"]).slope)


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("outputs/ducoffe2017_figure3"))
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = measured(arguments.repeats)
    arguments.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.out / "seconds.csv", index=False)
    drawn(table).savefig(arguments.out / "seconds.png", dpi=150)
    for axis, part in table.groupby("axis", sort=False):
        medians = ", ".join(
            f"{size}: {part[part['size'] == size]['seconds'].median():.2f}" for size in part["size"].unique()
        )
        print(f"{axis:<11} slope {slope(part):z.2f}   median seconds {medians}")


if __name__ == "__main__":
    main()
