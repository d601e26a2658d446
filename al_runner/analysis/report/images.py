"""Finds the images of a run's ids on this machine, and joins those that a report shows into one picture."""

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

from al_runner.data.archive import read, sha256
from al_runner.data.arrays import Arrays, DataFile
from al_runner.data.bundled import BUNDLED
from al_runner.errors import UsageError
from al_runner.labels import UNKNOWN

TILE = 48  # the most pixels that the longer side of a thumbnail has


class Images(NamedTuple):
    """A data set in the order of its ids: train images first, then test images, then its own validation images."""

    images: NDArray[np.uint8]  # [N, H, W] or [N, H, W, C]
    labels: NDArray[np.int64]  # [N], UNKNOWN for an image of a class that the run did not have
    classes: tuple[str, ...]


def find_images(starts: Sequence[Mapping[str, Any]], data_root: Path) -> Images | str:
    """The images that a run read, as its starts record, or a sentence that says why they are not available.

    Only a file that is directly in `data_root` and has the recorded checksum is opened.
    """
    named = starts[-1].get("file") if starts else None
    if isinstance(named, Mapping) and named.get("values") == "float":
        return "the data set holds vectors, or numbers that are no pixels, so there are no pictures"
    file = _data_file(named) if isinstance(named, Mapping) else None
    if file is None:
        return "provenance.json does not name the file of the data set, so an older version made this run"
    arrays = BUNDLED[file.name]() if file.name in BUNDLED else _prepared(file, data_root)
    if isinstance(arrays, str):
        return arrays
    images, labels = arrays.whole()
    return _of_run(Images(images, labels, tuple(arrays.classes.tolist())), starts[-1].get("classes"))


def _of_run(images: Images, classes: Any) -> Images:
    """The images with the labels and `classes` that a run had, if the file has these classes among others.

    An older version did not record a run's classes: they are then taken for the file's.
    """
    if not isinstance(classes, list) or not classes or not all(name in images.classes for name in classes):
        return images
    numbers = np.full(len(images.classes) + 1, UNKNOWN)  # the last entry is that of UNKNOWN, -1
    numbers[[images.classes.index(name) for name in classes]] = np.arange(len(classes))
    return Images(images.images, numbers[images.labels], tuple(classes))


def _data_file(named: Mapping[str, Any]) -> DataFile | None:
    """The file that a start names, or None if its name is a path or the entry has another form."""
    name, sha256, channels = (named.get(key) for key in ("name", "sha256", "channels"))
    if not isinstance(name, str) or not isinstance(sha256, str) or channels not in (None, "first", "last"):
        return None
    plain = name.isprintable() and Path(name).name == name and "\\" not in name
    return DataFile(name, sha256, channels, bool(named.get("relabel"))) if plain else None


def _prepared(file: DataFile, data_root: Path) -> Arrays | str:
    path = data_root / file.name
    try:
        if not path.is_file():
            return f"{file.name} is not in {data_root}; name the folder of this file with --data or AL_DATA"
        if sha256(path) != file.sha256:
            return f"{path} is not the file that these runs read: its checksum differs"
        return read(path, file.channels, file.relabel)
    except OSError as error:
        return f"{path} can't be read ({error.strerror})"
    except UsageError as error:
        return str(error)


def fits(images: Images, bought: pd.DataFrame) -> bool:
    """Whether the recorded labels are those of the data set. If not, it is another one, or pool= changed its labels."""
    ids = bought["id"].to_numpy()
    return bool(ids.max() < len(images.labels) and (images.labels[ids] == bought["label"].to_numpy()).all())


class Atlas(NamedTuple):
    """Thumbnails in one PNG, row by row."""

    uri: str  # a data: URL
    columns: int
    width: int  # of a tile, in pixels
    height: int  # of a tile, in pixels
    place: dict[int, int]  # the number of an image's tile, by id


def atlas(images: NDArray[np.uint8], ids: Sequence[int]) -> Atlas:
    """The images of these ids as thumbnails; no side is longer than TILE pixels."""
    tiles = [_thumbnail(images[id_]) for id_ in ids]
    height, width = tiles[0].shape[:2]
    columns = ceil(sqrt(len(tiles)))
    sheet = np.zeros((ceil(len(tiles) / columns) * height, columns * width, *tiles[0].shape[2:]), dtype=np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // columns * height, place % columns * width
        sheet[top : top + height, left : left + width] = tile
    places = {int(id_): place for place, id_ in enumerate(ids)}
    return Atlas(data_uri(Image.fromarray(sheet)), columns, width, height, places)


def data_uri(picture: Image.Image) -> str:
    """A picture as a data: URL of a PNG, which a page can hold."""
    stream = BytesIO()
    picture.save(stream, format="png", optimize=True)
    return f"data:image/png;base64,{b64encode(stream.getvalue()).decode()}"


def _thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if max(image.shape[:2]) <= TILE:
        return image
    scale = TILE / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
