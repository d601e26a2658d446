"""Peak memory of training on photos, above the photos themselves: noise of 224 x 224 in a folder of two classes.

A fresh process runs al-run on the folder: it prepares the data set, trains on 64 photos, measures, chooses 16 more of
2,096, and trains and measures again. Its peak is the greatest resident memory (ru_maxrss), with Python and torch. The
data are the photos as uint8. Goal: at most 2 GB above the data for 3,000 photos (0.45 GB). Options of al-run may take
the place of the runs below: `memory.py model=resnet18 strategy=kfac_vfe`.
"""

import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 224
ROUNDS = ["training.max_checks=1", "training.check_every=2", "budget.initial=64", "budget.query=16"]
RUNS = {
    "small_cnn, badge": ["strategy=badge"],
    "resnet18 of width 8, badge": ["model=resnet18", "model.width=8", "strategy=badge"],
}


def write(folder: Path, count: int) -> None:
    """`count` photos of noise, in turn of two classes."""
    rng = np.random.default_rng(0)
    for number in range(count):
        of_class = folder / "ab"[number % 2]
        of_class.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(256, size=(SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(of_class / f"{number:05}.bmp")


def peak(folder: Path, options: list[str]) -> int:
    """Bytes that al-run took at most, in a process of its own. Raises CalledProcessError if it fails."""
    words = [f"dataset.path={folder / 'photos'}", f"dataset.resize={SIDE}", f"data_root={folder / 'data'}"]
    words += [f"results={folder / 'results'}", "overwrite=true", "device=cpu", "budget.max_rounds=1", *ROUNDS, *options]
    command = [sys.executable, "-m", "al_runner.main", "dataset=folder", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), command)
    return 1024 * usage.ru_maxrss


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=3000)
    parser.add_argument("options", nargs="*", help="options of al-run, in place of the default runs")
    arguments = parser.parse_args()
    data = arguments.photos * SIDE * SIDE * 3
    runs = {" ".join(arguments.options): arguments.options} if arguments.options else RUNS
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "photos", arguments.photos)
        for name, options in runs.items():
            most = peak(Path(folder), options)
            print(
                f"{name}: peak {most / 1e9:.2f} GB, {(most - data) / 1e9:.2f} GB above the data's {data / 1e9:.2f} GB",
                flush=True,
            )


if __name__ == "__main__":
    main()
