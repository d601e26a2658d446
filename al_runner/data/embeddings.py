"""The user's own vectors, such as the embeddings of a large model, in one file.

N vectors of D numbers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import InstanceOf

from al_runner.data.archive import array, opened
from al_runner.data.arrays import Arrays, DataFile
from al_runner.data.labels import numbered
from al_runner.data.layout import floats
from al_runner.data.mapped import mapped
from al_runner.data.split import Relabel, Split
from al_runner.errors import UsageError
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means
from al_runner.system.text import listed, one_line
from al_runner.types import DataSet

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("train", "test", "val")
ByName = Mapping[str, NDArray[Any]]  # arrays train_x [N, D], train_y [N], test_x, ..., and `classes` if given


@options("dataset")
def embeddings(
    data_root: str,
    path: Annotated[str | None, Means("the file: .npz, .npy or .parquet")],
    split: Annotated[InstanceOf[Split], Means("which vectors are for training, validation and test")],
    inputs: Annotated[str, Means("the array, or the column, that holds the vectors")] = "embeddings",
    targets: Annotated[str, Means("the array, or the column, that holds the labels")] = "labels",
    labels: Annotated[
        str | None, Means("the file of the labels if the vectors are an .npy file: .npy, or text with one label a line")
    ] = None,
    relabel: Relabel = False,
) -> DataSet:
    """The vectors in the file at `path`, as images [D, 1, 1]: float16 if the file has that type, otherwise float32.

    An .npz file has the arrays `inputs` and `targets`, or both with train_, test_ and val_ before their names, and may
    have class names in `classes`. A parquet file has one row for each vector. A single part of a file that is not
    compressed stays on the disk, and its vectors are read when they are used. Nothing is written below `data_root`.
    Raises UsageError if the file is missing, can't be read, or has another form.
    """
    if not path:
        raise UsageError("dataset=embeddings needs dataset.path=FILE, an .npz, .npy or .parquet file")
    file = Path(path).expanduser()
    if file.suffix == ".npy":
        by_name = of_npy(file, labels)
    elif file.suffix == ".parquet":
        by_name = of_table(file, read_table(file), inputs, targets)
    else:
        by_name = of_npz(file, inputs, targets)
    return split.apply(as_arrays(file, by_name, relabel)._replace(source=DataFile(file.name, values="float")))


def as_arrays(where: object, by_name: ByName, relabel: bool = False) -> Arrays:
    """The vectors of every part as images [N, 1, 1, D], and their labels.

    `where` names the source in errors; `relabel` numbers the labels that occur from 0. Raises UsageError if there are
    no training vectors, if the vectors differ in length, or if vectors or labels have another form.
    """
    parts = [part for part in PARTS if f"{part}_x" in by_name]
    x = {part: _vectors(where, part, by_name[f"{part}_x"]) for part in parts}
    if not len(x["train"]):
        raise UsageError(f"{where} has no training vectors; put the vectors to choose from there")
    widths = {part: rows.shape[1] for part, rows in x.items() if len(rows)}
    if len(set(widths.values())) > 1:
        lengths = ", ".join(f"{width} numbers in {part}" for part, width in widths.items())
        raise UsageError(f"{where}: vectors have {lengths}; give all vectors the same length")
    x.setdefault("test", x["train"][:0])
    named = {f"{part}_labels": by_name.get(f"{part}_y", np.zeros(0, np.int64)) for part in x}
    classes = {"classes": by_name["classes"]} if "classes" in by_name else {}
    y, names = numbered(where, named | classes, {part: len(rows) for part, rows in x.items()}, relabel)
    as_images = {part: rows.reshape(len(rows), 1, 1, widths["train"]) for part, rows in x.items()}
    return Arrays(
        as_images["train"], y["train"], as_images["test"], y["test"], names, as_images.get("val"), y.get("val")
    )


def _vectors(where: object, part: str, x: NDArray[Any]) -> NDArray[Any]:
    if x.ndim != 2 or not x.shape[1]:
        raise UsageError(
            f"{where}: the {part} vectors are {x.dtype} {x.shape}; they must be [N, D], one row for each vector "
            "(dataset=npz reads images)"
        )
    return floats(where, f"the {part} vectors", x)


def of_npz(file: Path, inputs: str, targets: str) -> ByName:
    """The arrays of an .npz file. Those that can be mapped stay on the disk. Raises UsageError if one is missing."""
    wanted = f"give an .npz file with {inputs} and {targets}, as numpy.savez writes it"
    with opened(file, wanted) as archive:
        stored = {*archive.files}
        prefixes = {"train": ""} if inputs in stored else {part: f"{part}_" for part in PARTS}
        names = {
            f"{part}_{kind}": prefix + name
            for part, prefix in prefixes.items()
            if part == "train" or {prefix + inputs, prefix + targets} & stored
            for kind, name in (("x", inputs), ("y", targets))
        }
        unread = sorted(
            {f"{part}_{name}" for part in PARTS for name in (inputs, targets)} & (stored - {*names.values()})
        )
        if unread:
            raise UsageError(
                f"{file} has {inputs} and also {listed(unread)}, which would not be read; call the training vectors "
                f"train_{inputs} and their labels train_{targets}, or leave the other arrays out"
            )
        missing = [name for name in names.values() if name not in stored]
        if missing:
            raise UsageError(
                f"{file} has no array {', '.join(missing)}; it has {listed(sorted(stored)) or 'none'}; name the arrays "
                "that hold vectors and labels with dataset.inputs=... and dataset.targets=..."
            )
        arrays = {key: _lazily(file, archive, name) for key, name in names.items()}
        return arrays | ({"classes": array(file, archive, "classes")} if "classes" in stored else {})


def _lazily(file: Path, archive: Any, name: str) -> NDArray[Any]:
    """An array of the archive: mapped, or read into memory if it can't be mapped."""
    try:
        return mapped(file, name)
    except (UsageError, ValueError, KeyError):
        return array(file, archive, name)


def of_npy(file: Path, labels: str | None) -> ByName:
    """The vectors of an .npy file, which stay on the disk, and their labels from another file.

    Raises UsageError if `labels` is not given, or if a file can't be read.
    """
    if not labels:
        raise UsageError(f"{file} holds vectors only; name the file of their labels with dataset.labels=FILE")
    x, y = _load(file, "c"), _labels(Path(labels).expanduser())
    if y.ndim == 1 and len(y) != len(x):
        raise UsageError(
            f"{labels} holds {len(y):,} labels, but {file} holds {len(x):,} vectors; give one label for each vector, "
            "without a line of titles"
        )
    return {"train_x": x, "train_y": y}


def _labels(file: Path) -> NDArray[Any]:
    if file.suffix == ".npy":
        return _load(file, None)
    try:
        lines = file.read_text("utf-8-sig").rstrip().splitlines()  # Excel puts a mark before the first letter
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{file} can't be read ({one_line(error)}); name the file of the labels with dataset.labels=..."
        ) from error
    if file.suffix.lower() in (".csv", ".tsv") and any(mark in line for line in lines for mark in ",;\t"):
        raise UsageError(f"{file} has several columns; keep the column of the labels alone, one label a line")
    words = np.array([line.strip() for line in lines], dtype=np.str_)
    try:
        return words.astype(np.int64)
    except ValueError:
        return words


def _load(file: Path, mode: Any) -> NDArray[Any]:
    try:
        return np.asarray(np.load(file, mmap_mode=mode, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        reason = "Python objects" if "pickle" in str(error) else one_line(error)
        raise UsageError(f"{file} can't be read as an .npy file ({reason}); write it with numpy.save") from error


def read_table(file: Path) -> "pd.DataFrame":
    """A parquet file. Raises UsageError if it can't be read, or if the package that reads it is missing."""
    import pandas as pd  # noqa: PLC0415 - takes half a second, and only parquet files need it

    try:
        return pd.read_parquet(file)
    except ImportError as error:
        raise UsageError(f"{file}: parquet files need pyarrow; pip install pyarrow, or save an .npz file") from error
    except (OSError, ValueError) as error:  # pyarrow raises subclasses of these
        raise UsageError(f"{file} can't be read as a parquet file ({one_line(error)})") from error


def of_table(where: object, table: "pd.DataFrame", inputs: str, targets: str) -> ByName:
    """Vectors from the column `inputs`, and labels from the column `targets`.

    Without a column `inputs`, every column of numbers but `targets` is one number of the vectors. Raises UsageError if
    the labels are missing, or if the vectors differ in length.
    """
    if targets not in table:
        raise UsageError(f"{where} has no column {targets}; name the column of the labels with dataset.targets=...")
    if inputs in table:
        try:
            x = np.array(table[inputs].tolist(), dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{where}: column {inputs} holds no vectors of one length ({one_line(error)})") from error
    else:
        x = table.drop(columns=targets).select_dtypes("number").to_numpy(dtype=np.float32)
    y = table[targets]
    return {"train_x": x, "train_y": y.to_numpy() if y.dtype.kind in "biuf" else y.astype(str).to_numpy(dtype=np.str_)}
