"""Writes figures as files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from al_runner.analysis.draw.style import sheet
from al_runner.analysis.table.files import write

DPI = 200  # of a .png
UNDATED: dict[str, dict[str, None]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def save(figure: Figure, path: Path) -> Path:
    """Write the figure in its suffix's format (.png at 200 dpi, .svg, .pdf); the same figure gives the same bytes."""
    return save_all(figure, [path])[0]


def save_all(figure: Figure, paths: Sequence[Path]) -> list[Path]:
    """`save` to several files, with one layout."""
    FigureCanvasAgg(figure)
    with sheet(), _laid_out(figure):
        return [_written(figure, path) for path in paths]


@contextmanager
def _laid_out(figure: Figure) -> Iterator[None]:
    """Places axes and legends once; matplotlib would place them again, twice for each file."""
    engine, dpi = figure.get_layout_engine(), figure.dpi
    figure.set_dpi(DPI)
    try:
        if engine is not None:
            engine.execute(figure)
            with rc_context({"figure.constrained_layout.use": False, "figure.autolayout": False}):
                figure.set_layout_engine(None)  # "none" would leave an engine that makes every file be drawn twice
        yield
    finally:
        figure.set_layout_engine(engine)
        figure.set_dpi(dpi)


def _written(figure: Figure, path: Path) -> Path:
    stream = BytesIO()
    kind = path.suffix.removeprefix(".")
    # Dates and random ids would change a committed figure each time it is drawn; the style sheet fixes the ids.
    figure.savefig(stream, format=kind, dpi=DPI, metadata=UNDATED.get(kind))
    return write(path, stream.getvalue())
