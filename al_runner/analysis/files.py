"""Writing whole files or none."""

from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from al_runner.atomic import replace_file
from al_runner.errors import UsageError


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
    """Write the figure in the format of the suffix, .png at 200 dpi or .svg; the same figure gives the same bytes."""
    FigureCanvasAgg(figure)
    stream = BytesIO()
    kind = path.suffix.removeprefix(".")
    # Dates and random ids would make a committed figure differ at every drawing.
    with mpl.rc_context({"svg.hashsalt": "al-plot"}):
        figure.savefig(stream, format=kind, dpi=200, metadata={"Date": None} if kind == "svg" else None)
    return write(path, stream.getvalue())


def as_csv(frame: pd.DataFrame) -> bytes:
    """The table as UTF-8 CSV whose numbers read back exactly."""
    return frame.to_csv(index=False, lineterminator="\n").encode()
