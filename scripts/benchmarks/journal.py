"""What recording a round costs, in milliseconds and bytes, in a run of 2,000 rounds of 20 images.

python scripts/benchmarks/journal.py [folder on the disk to be measured]
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import psutil
import torch

from al_runner.record.run import RunRecord

ROUNDS, QUERY, WINDOW = 2000, 20, 20
ROW = dict.fromkeys(("test_error", "test_accuracy", "val_error", "train_error", "test_nll", "fit_seconds"), 1 / 3)


def main() -> None:
    with TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        record = RunRecord(Path(folder))
        record.settle()
        record.begin({"seed": 0}, {"data": ""})
        spent = [one_round(record, round_) for round_ in range(ROUNDS + 1)]
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
    print(f"{'round':>6} {'ms':>8} {'bytes written':>14}")
    for first in (0, 500, ROUNDS + 1 - WINDOW):
        seconds, written = zip(*spent[first + (first == 0) : first + WINDOW], strict=True)
        print(f"{first:>6} {1000 * sorted(seconds)[len(seconds) // 2]:8.2f} {sum(written) / len(written):14.0f}")
    print(f"in all: {sum(s for s, _ in spent):.1f} s, {sum(b for _, b in spent):,} bytes written, {size:,} on disk")


def one_round(record: RunRecord, round_: int) -> tuple[float, int]:
    """Seconds and bytes."""
    ids = torch.arange(QUERY) + QUERY * round_
    before, start = psutil.Process().io_counters().write_chars, perf_counter()
    if round_:
        record.predicted(round_, ids, ids % 10, torch.linspace(0, 1, QUERY))
    record.buy(round_, ids, ids % 10, 0.1, {})
    record.measure(round_, {"labelled": QUERY * (round_ + 1), "steps": 1000, **ROW}, None)
    return perf_counter() - start, psutil.Process().io_counters().write_chars - before


if __name__ == "__main__":
    main()
