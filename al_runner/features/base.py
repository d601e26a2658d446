"""What every choice of `features=` has in common: how its features are made, kept and used.

N images of C x H x W values, D features.
"""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from al_runner.errors import UsageError
from al_runner.features.cache import Rows, cached
from al_runner.settings.kinds import Count, Means
from al_runner.system.chunks import in_parts
from al_runner.system.text import one_line
from al_runner.types import DataSet

FORM = 1  # of the files; another number makes all of them anew
IDENTITY, EXTRACTOR = "def identity(self, data)", "def extractor(self, data, device)"
READ = 1024  # images that are hashed at once; fewer if they are large


@dataclass(frozen=True)
class Features:
    """Features of every image of a data set; a subclass says which ones, by `identity` and `extractor`."""

    use: Annotated[
        Literal["inputs", "beside"],
        Means("inputs: the net sees the features only; beside: strategies choose by them and the net sees the images"),
    ] = "inputs"
    batch: Annotated[Count, Means("images in one forward pass")] = 64

    @property
    def label(self) -> str:
        """The first part of the file's name."""
        return type(self).__name__.lower()

    def require(self, data: DataSet | None = None) -> None:
        """Raises UsageError if a package is missing, or, with `data`, if its images can't have these features."""

    def identity(self, data: DataSet) -> Mapping[str, Any]:
        """All that the features depend on beside the images and this class's own module, in a form that JSON has."""
        raise UsageError(f"{type(self).__name__} does not say what its features depend on; write {IDENTITY}")

    def extractor(self, data: DataSet, device: torch.device) -> Callable[[Tensor], Tensor]:
        """A function of images, [n, C, H, W] on the device, whose result is their features, [n, D]."""
        raise UsageError(f"{type(self).__name__} makes no features; write {EXTRACTOR}")

    def apply(self, data: DataSet, data_root: str | Path, device: torch.device) -> DataSet:
        """The data set with features in place of its images, as [N, D, 1, 1], or beside them (`DataSet.features`).

        They are in a file below `data_root`/features. Its name has a hash of the images, of `identity` and, if the
        class is somebody's own, of its module's text. Raises UsageError as `require` and `cached`.
        """
        self.require(data)
        own = {} if type(self).__module__.startswith("al_runner.") else {"code": source_of(type(self))}
        facts = {"form": FORM, "choice": self.label, **own, **self._identified(data), "source": digest(data.images)}
        hashed = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
        path = Path(data_root) / "features" / f"{self.label}-{hashed}.npy"
        made = {"torch": str(torch.__version__), "device": device.type}
        values = cached(path, len(data.images), self.batch, {**facts, "made": made}, lambda: self._rows(data, device))
        data = replace(data, source={**(data.source or {}), "features": f"{path.parent.name}/{path.name}"})
        if self.use == "beside":
            return replace(data, features=values)
        return replace(data, images=values[:, :, None, None])

    def _identified(self, data: DataSet) -> Mapping[str, Any]:
        """`identity`. Raises UsageError if JSON does not have it."""
        facts: object = self.identity(data)
        try:
            if isinstance(facts, Mapping) and json.dumps(facts):
                return facts
            trouble = f"gives {type(facts).__name__}"
        except (TypeError, ValueError) as error:
            trouble = one_line(error)
        raise UsageError(
            f"{type(self).__name__}.identity: {trouble}; it must give a dict of words and numbers, such as the name "
            "of a file of weights, or {} if there are none"
        )

    def _rows(self, data: DataSet, device: torch.device) -> Rows:
        extract = self.extractor(data, device)
        if not callable(extract):
            raise UsageError(
                f"{type(self).__name__}.extractor gives {type(extract).__name__}; it must give a function from images "
                "[n, C, H, W] to features [n, D]"
            )

        @torch.inference_mode()
        def rows(start: int, end: int) -> Tensor:
            return extract(data.images[start:end].to(device))

        return rows


def require_features(made: object) -> None:
    """Raises UsageError if what features= makes has no features, or lacks a package."""
    if not isinstance(made, Features):
        raise UsageError(
            f"features= makes a {type(made).__name__}, which has no features; derive its class from Features of "
            f"{Features.__module__}"
        )
    made.require()


def source_of(made: Callable[..., Any]) -> str:
    """A hash of the source text of the module that `made` is defined in; empty if there is no text."""
    try:
        return hashlib.sha256(inspect.getsource(inspect.getmodule(made) or made).encode()).hexdigest()
    except (OSError, TypeError):
        return ""


def digest(images: Tensor) -> str:
    """A hexadecimal hash of all values, their type and their shape."""
    hashed = hashlib.blake2b(repr((images.dtype, [*images.shape])).encode(), digest_size=16)
    for part in in_parts(images, READ):
        hashed.update(part.contiguous(memory_format=torch.contiguous_format).cpu().numpy().tobytes())
    return hashed.hexdigest()
