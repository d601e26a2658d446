"""Collects where, when and with what a run was made."""

import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from al_runner.types import DataSet

AT_ONCE = 4096  # images that are hashed at once
SAMPLED = 1000  # the most images of the fingerprint that older versions recorded


def fingerprint(data: DataSet) -> str:
    """A hexadecimal hash of all labels and images. Other data have another fingerprint.

    The features beside the images, if there are any, count as a part of them.
    """
    return _hashed(data, torch.arange(len(data.images)).split(AT_ONCE))


def fingerprints(data: DataSet) -> tuple[str, str]:
    """The fingerprint of the data, and the one that older versions recorded of them."""
    return fingerprint(data), older_fingerprint(data)


def older_fingerprint(data: DataSet) -> str:
    """The fingerprint of older versions, of all labels and of SAMPLED evenly spread images."""
    ids = torch.linspace(0, len(data.images) - 1, min(SAMPLED, len(data.images)), device=data.images.device).long()
    return _hashed(data, [ids])


def _hashed(data: DataSet, parts: Iterable[Tensor]) -> str:
    """A hash of all labels, and of the images and features with the ids in `parts`."""
    digest = blake2b(repr([*data.images.shape]).encode(), digest_size=16)
    digest.update(data.labels.cpu().numpy().tobytes())
    for values in (data.images,) if data.features is None else (data.images, data.features):
        for ids in parts:
            digest.update(values[ids.to(values.device)].contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


def provenance(
    device: torch.device,
    seed: int,
    words: Sequence[str],
    data: str,
    file: Mapping[str, Any] | None = None,
    classes: Sequence[str] = (),
) -> dict[str, Any]:
    """Where, when and with what a run was made: by `al-run` with these `words`, on data with this fingerprint.

    `file` says from which file the data were read (`DataSet.source`). `classes` are the names of the run's classes in
    their order, which may be fewer than the file has.
    """
    names = ("al-runner", "torch", "numpy", "hydra-core")
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": ["al-run", *words],
        "seed": seed,
        "data": data,
        "file": None if file is None else dict(file),
        "classes": [*classes],
        "device": gpu or f"{device.type}: {_processor()}",
        "threads": torch.get_num_threads(),
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: version(name) for name in names},
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _git_commit() -> str | None:
    """The checkout's commit, with -dirty if tracked files differ from it; None outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    with suppress(OSError):
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        return answer.stdout.strip() or None
    return None
