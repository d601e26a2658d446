"""Writes figures as files."""

from io import BytesIO
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from al_runner.analysis.draw.style import sheet
from al_runner.analysis.table.files import write

UNDATED: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def save(figure: Figure, path: Path) -> Path:
    """Write the figure in its suffix's format (.png at 200 dpi, .svg, .pdf); the same figure gives the same bytes."""
    FigureCanvasAgg(figure)
    stream = BytesIO()
    kind = path.suffix.removeprefix(".")
    # Dates and random ids would change a committed figure each time it is drawn; the style sheet fixes the ids.
    with sheet():
        figure.savefig(stream, format=kind, dpi=200, metadata=UNDATED.get(kind))
    return write(path, stream.getvalue())
