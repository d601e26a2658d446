"""The images behind the ids, where this machine has them, and one picture that holds all that a report shows."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from math import ceil, sqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from al_runner.data.archive import read
from al_runner.errors import UsageError

TILE = 48  # pixels of a thumbnail's longer side, at most


class Images(NamedTuple):
    """A data set as its ids number it: train images first, then test images, then validation images of its own."""

    images: NDArray[np.uint8]  # [N, H, W] or [N, H, W, C]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]


def find_images(config: Mapping[str, Any], data_root: Path) -> Images | str:
    """The images of a run's data set, or one sentence that says why they can't be had here."""
    dataset = config.get("dataset")
    source = str(dataset.get("_target_", "")) if isinstance(dataset, Mapping) else ""
    kind = source.rpartition(".")[2]
    if isinstance(dataset, Mapping) and (kind == "embeddings" or dataset.get("values") == "float"):
        return "the data set holds vectors, or numbers that are no pixels, and these have no pictures"
    if not isinstance(dataset, Mapping) or kind not in ("digits", "npz", "folder", "vision"):
        return f"the data set's source {source or 'is not recorded, so it'} is not one whose images can be read back"
    if kind == "digits":
        return _digits()
    file = _file(kind, dataset, data_root)
    if isinstance(file, str):
        return file
    try:
        held = read(file, dataset.get("channels") if kind == "npz" else None, bool(dataset.get("relabel")))
    except UsageError as error:
        return str(error)
    images, labels = held.whole()
    return Images(images, labels, tuple(held.classes.tolist()))


def _file(kind: str, dataset: Mapping[str, Any], data_root: Path) -> Path | str:
    """Where the prepared file is, or why there is none."""
    if kind == "npz":
        found = [Path(str(dataset.get("path"))).expanduser()]
    elif kind == "folder":
        prepared = data_root.glob(f"folder-{Path(str(dataset.get('path'))).name[:40]}-*.npz")
        found = sorted(prepared, key=lambda file: file.stat().st_mtime)[-1:]  # of a folder that changed, the newest
    else:
        found = [data_root / f"{dataset.get('name')}.npz"]
    there = [file for file in found if file.is_file()]
    if not there:
        return f"the data set has no prepared file below {data_root}; name the folder with --data or AL_DATA"
    return there[0]


def _digits() -> Images:
    from sklearn.datasets import load_digits  # noqa: PLC0415 - a second that no other data set need spend

    bunch = load_digits()
    return Images((bunch.images * (255 / 16)).round().astype(np.uint8), bunch.target, tuple(map(str, range(10))))


def fits(images: Images, bought: pd.DataFrame) -> bool:
    """Whether the recorded labels are the data set's own: else it is another one, or its pool was spoilt."""
    ids = bought["id"].to_numpy()
    return bool(ids.max() < len(images.labels) and (images.labels[ids] == bought["label"].to_numpy()).all())


class Atlas(NamedTuple):
    """Thumbnails in one PNG, row by row."""

    uri: str
    columns: int
    width: int  # of a tile, pixels
    height: int
    place: dict[int, int]  # by id


def atlas(images: NDArray[np.uint8], ids: Sequence[int]) -> Atlas:
    """The images of these ids as thumbnails of at most 48 pixels."""
    tiles = [_thumbnail(images[id_]) for id_ in ids]
    height, width = tiles[0].shape[:2]
    columns = ceil(sqrt(len(tiles)))
    sheet = np.zeros((ceil(len(tiles) / columns) * height, columns * width, *tiles[0].shape[2:]), dtype=np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // columns * height, place % columns * width
        sheet[top : top + height, left : left + width] = tile
    stream = BytesIO()
    Image.fromarray(sheet).save(stream, format="png", optimize=True)
    uri = f"data:image/png;base64,{b64encode(stream.getvalue()).decode()}"
    return Atlas(uri, columns, width, height, {int(id_): place for place, id_ in enumerate(ids)})


def _thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if max(image.shape[:2]) <= TILE:
        return image
    scale = TILE / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
