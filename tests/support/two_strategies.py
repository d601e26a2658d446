"""Runs of two strategies on four seeds, of which one is clearly better."""

from pathlib import Path

from made_runs import make_run

RANDOM = [[0.8, 0.6, 0.50], [0.8, 0.5, 0.44], [0.9, 0.6, 0.48], [0.7, 0.6, 0.46]]
BETTER = [[0.8, 0.4, 0.30], [0.8, 0.4, 0.25], [0.9, 0.3, 0.27], [0.7, 0.4, 0.26]]


def two(root: Path, seeds: int = 4, **more: str) -> Path:
    """Make the runs below `root`, which is returned."""
    for strategy, curves in (("random", RANDOM), ("kfac_vfe", BETTER)):
        for seed, errors in list(enumerate(curves))[:seeds]:
            make_run(root, strategy, seed, errors, **more)
    return root
