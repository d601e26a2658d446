"""Writing whole files or none."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from al_runner.analysis.style import sheet
from al_runner.errors import UsageError
from al_runner.system.atomic import replace_file

UNDATED: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def stem(what: str, names: Sequence[str]) -> str:
    """A file's name without suffix, of what it shows of the case with these names."""
    return "-".join((what, *(name.replace("/", "_") for name in names)))


def write(path: Path, content: bytes) -> Path:
    """Replace the file in one step, its folder made where missing; UsageError, and the old file kept, where it can't.

    Returns `path`.
    """
    try:
        replace_file(path, content)
    except OSError as error:
        raise UsageError(f"{path} can't be written ({error.strerror}); choose another --out") from error
    return path


def save(figure: Figure, path: Path) -> Path:
    """Write the figure in its suffix's format (.png at 200 dpi, .svg, .pdf); the same figure gives the same bytes."""
    FigureCanvasAgg(figure)
    stream = BytesIO()
    kind = path.suffix.removeprefix(".")
    # Dates and random ids would make a committed figure differ at every drawing; the sheet fixes the latter.
    with sheet():
        figure.savefig(stream, format=kind, dpi=200, metadata=UNDATED.get(kind))
    return write(path, stream.getvalue())


def as_csv(frame: pd.DataFrame) -> bytes:
    """The table as UTF-8 CSV whose numbers read back exactly."""
    return frame.to_csv(index=False, lineterminator="\n").encode()
