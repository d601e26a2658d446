"""Sends a run's rows to TensorBoard or MLflow, besides rounds.csv. Both are optional, and no other code needs them.

A step is a number of labels. A resumed run also logs its earlier rows, so that a log always holds the whole of
rounds.csv.
"""

import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Protocol

from al_runner.errors import UsageError
from al_runner.record.flat import flat
from al_runner.record.run_id import RunId
from al_runner.settings.declare import options
from al_runner.settings.kinds import Means

log = logging.getLogger(__name__)

Row = Mapping[str, Any]


class Logger(Protocol):
    """Takes a run's rows, one for each round."""

    def write(self, row: Row) -> None: ...

    def close(self, whole: bool) -> None:
        """Finish when the process ends; `whole` says whether the run is done."""


class Guarded:
    """A logger whose failure is logged once and never ends a run; it does nothing if `inner` is None."""

    def __init__(self, inner: Logger | None):
        self._inner = inner

    def write(self, row: Row) -> None:
        self._try("write", row)

    def close(self, whole: bool) -> None:
        self._try("close", whole)

    def _try(self, name: str, *arguments: Any) -> None:
        if self._inner is None:
            return
        try:
            getattr(self._inner, name)(*arguments)
        except Exception as error:  # a server that can't be reached, a full disk
            kind, self._inner = type(self._inner).__name__, None
            log.warning("%s can't be written (%s: %s); the run goes on without it", kind, type(error).__name__, error)


@contextmanager
def logged(logger: Logger | None, rows: Sequence[Row]) -> Iterator[Guarded]:
    """The logger, after it has logged these earlier rows. It is closed at any end of the run."""
    guarded = Guarded(logger)
    for row in rows:
        guarded.write(row)
    try:
        yield guarded
    except BaseException:
        guarded.close(whole=False)
        raise
    guarded.close(whole=True)


class TensorBoard:
    """Event files in `folder`/tensorboard, made anew at every start.

    Raises UsageError if tensorboard is not installed.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]):
        require("tensorboard", "logger=tensorboard")
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - optional

        place = folder / "tensorboard"
        shutil.rmtree(place, ignore_errors=True)
        self._writer = SummaryWriter(str(place))
        lines = "\n".join(f"    {key}: {value}" for key, value in flat(settings).items())
        self._writer.add_text("settings", lines)

    def write(self, row: Row) -> None:
        for name, value in numbers(row).items():
            self._writer.add_scalar(name, value, int(row["labelled"]))
        self._writer.flush()

    def close(self, whole: bool) -> None:
        self._writer.close()


class Mlflow:
    """An MLflow run in the experiment of the data set. A resumed run replaces the one with the same folder.

    Raises UsageError if mlflow is not installed.
    """

    @options("logger")
    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        uri: Annotated[str, Means("a server, or a folder for `mlflow ui --backend-store-uri FOLDER`")],
    ):
        require("mlflow", "logger=mlflow")
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow import MlflowClient  # noqa: PLC0415 - optional

        place = uri if "://" in uri or uri.startswith("databricks") else Path(uri).expanduser().resolve().as_uri()
        self._client = MlflowClient(place)
        run = RunId.of(settings["run"])
        experiment, name = self._experiment(run.dataset), f"{run.curve} seed {run.seed}"
        tag = {"al_runner.folder": folder.resolve().as_posix()}
        earlier = self._client.search_runs([experiment], f"tags.`al_runner.folder` = '{tag['al_runner.folder']}'")
        for old in earlier:  # its rows are logged again
            self._client.delete_run(old.info.run_id)
        self._id = self._client.create_run(experiment, run_name=name, tags=tag).info.run_id
        for key, value in flat(settings).items():
            self._client.log_param(self._id, key, str(value)[:500])

    def write(self, row: Row) -> None:
        for name, value in numbers(row).items():
            self._client.log_metric(self._id, name, value, step=int(row["labelled"]))

    def close(self, whole: bool) -> None:
        self._client.set_terminated(self._id, "FINISHED" if whole else "KILLED")

    def _experiment(self, name: str) -> str:
        """The id of the experiment of this name. If it is missing, the first of a sweep's processes makes it."""
        known = self._client.get_experiment_by_name(name)
        if known is None:
            try:
                return str(self._client.create_experiment(name))
            except Exception:
                known = self._client.get_experiment_by_name(name)
                if known is None:
                    raise
        return str(known.experiment_id)


def require(package: str, choice: str) -> None:
    """Raises UsageError if an optional package is not installed."""
    try:
        import_module(package)
    except ImportError as error:
        raise UsageError(f"{choice} needs the package {package}; pip install 'al-runner[loggers]'") from error


def numbers(row: Row) -> dict[str, float]:
    """The measurements of a row; unknown ones are left out."""
    return {name: float(value) for name, value in row.items() if name not in ("round", "labelled") and value != ""}
