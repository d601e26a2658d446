"""What deterministic=true costs on a GPU: seconds of fits with and without it. Usage: deterministic.py [DATASET]."""

import csv
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

REPEATS = 5


def seconds(dataset: str, wanted: bool, results: Path) -> float:
    """Of all fits of a run of ten rounds."""
    words = [f"dataset={dataset}", "strategy=random", "budget.max_rounds=10", "device=cuda"]
    words += [f"deterministic={str(wanted).lower()}", f"results={results}"]
    subprocess.run([sys.executable, "-m", "al_runner.main", *words], check=True, stdout=subprocess.DEVNULL)
    (file,) = results.rglob("rounds.csv")
    with file.open() as rows:
        return sum(float(row["fit_seconds"]) for row in csv.DictReader(rows))


def main() -> None:
    if not torch.cuda.is_available():
        sys.exit("deterministic.py needs a CUDA device")
    dataset = sys.argv[1] if len(sys.argv) > 1 else "digits"
    with TemporaryDirectory() as folder:
        pairs = [
            [seconds(dataset, wanted, Path(folder, f"{repeat}{wanted}")) for wanted in (False, True)]
            for repeat in range(REPEATS)
        ]
    ratio = median(slow / fast for fast, slow in pairs)
    print(f"{torch.cuda.get_device_name()}, {dataset}: {ratio:.2f} times the seconds, median of {REPEATS} pairs")


if __name__ == "__main__":
    main()
