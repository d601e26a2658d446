"""Memory of one KFAC-VFE acquisition of 64 images against the size of the pool, images in a memory-mapped .npz.

Extra memory: the greatest anonymous memory (RssAnon: the process's own, without pages of mapped files, which the system
takes back when it wants to) above what the process held before its pool was made, the pool's own ids included. Goal: at
most 100 bytes an image. Each size runs in a fresh process, with 1,920 candidates and with the whole pool as candidates;
the line through the measured points is continued to 10^7. The net is the USPS net of Ducoffe & Precioso (2017), which
has 5 blocks, on 8 x 8 images: a pool's memory does not depend on its images' size, since they stay in the file.
"""

import multiprocessing
import os
import tempfile
from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from threading import Event, Thread
from time import perf_counter

import numpy as np
import torch

from al_runner.data.mapped import mapped
from al_runner.learners.plain import SingleNet
from al_runner.models.ducoffe2017 import cnn
from al_runner.models.inputs import net_builder
from al_runner.pool import Pool
from al_runner.rng import global_stream, stream
from al_runner.strategies.kfac_vfe import KfacVfe
from al_runner.types import DataSet

SIDE, QUERY, CANDIDATES = 8, 64, 1920
Measured = tuple[float, float]  # bytes, seconds


def write(path: Path, count: int, chunk: int = 10**5) -> None:
    """Random images, a chunk in memory at a time."""
    rng = np.random.default_rng(0)
    array = np.lib.format.open_memmap(path.with_suffix(".npy"), "w+", np.uint8, (count, SIDE, SIDE))
    for start in range(0, count, chunk):
        part = array[start : start + chunk]
        part[:] = rng.integers(256, size=part.shape, dtype=np.uint8)
    array.flush()
    np.savez(path, images=array)
    path.with_suffix(".npy").unlink()


def anonymous() -> int:
    """Bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


class Peak:
    """While open, the greatest anonymous memory, looked at every 2 ms."""

    def __enter__(self) -> "Peak":
        self.most, self.done = anonymous(), Event()
        self.thread = Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self) -> None:
        while not self.done.wait(0.002):
            self.most = max(self.most, anonymous())

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()


def acquisition(path: Path, size: int, candidates: int) -> Measured:
    """Extra memory and time of one selection, after one from 512 images that is not counted."""
    torch.set_num_threads(1)
    images = torch.from_numpy(mapped(path, "images"))[:, None]

    def data(count: int) -> DataSet:
        ids = torch.arange(count)
        return DataSet(
            images, torch.zeros(1, dtype=torch.int64).expand(count), ids, ids[:1], ids[:1], tuple("0123456789")
        )

    with global_stream(stream(0, "init")):
        net = net_builder(data(512), partial(cnn, pool=(False, True), hidden=(300, 50)))()
    fitted = SingleNet(net.eval(), 0)

    def select(count: int) -> None:
        pool = Pool(data(count))
        pool.draw_candidates(min(candidates, count), stream(0, "candidates"))
        KfacVfe().select(fitted, pool, QUERY, stream(0, "query"))

    select(512)
    before, start = anonymous(), perf_counter()
    with Peak() as peak:
        select(size)
    return peak.most - before, perf_counter() - start


def main() -> None:
    # glibc then returns a freed tensor's memory at once; otherwise what it keeps, up to 40 MB, hides the pool's own.
    os.environ["MALLOC_MMAP_THRESHOLD_"] = "65536"
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10**4, 10**5, 10**6])
    sizes = parser.parse_args().sizes
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npz"
        write(path, max(sizes))
        for name, limit in ((f"{CANDIDATES} candidates", CANDIDATES), ("all candidates", max(sizes))):
            found = []
            for size in sizes:
                with multiprocessing.get_context("spawn").Pool(1) as fresh:
                    extra, seconds = fresh.apply(acquisition, (path, size, limit))
                found.append(extra)
                print(f"{name:16} {size:9} images: {extra / 1e6:8.1f} MB extra, {seconds:7.1f} s", flush=True)
            slope, base = np.polyfit(sizes, found, 1)
            print(f"{name:16} {slope:.0f} bytes an image; 10^7 by the line: {(base + 1e7 * slope) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
