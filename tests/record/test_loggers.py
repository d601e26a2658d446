"""Logs read back with TensorBoard's and MLflow's own readers."""

import csv
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from al_runner.errors import UsageError
from al_runner.record.loggers import Guarded, Mlflow, TensorBoard, logged, numbers, require
from al_runner.record.run_id import RunId

RUN = RunId("usps", "usps_cnn", "plain", "adam", "query8", "bald", "", 3)
SETTINGS = {"seed": 3, "run": RUN._asdict(), "budget": {"query": 8}}


def rows(*errors: float) -> list[dict[str, object]]:
    return [
        {"round": i, "labelled": 8 * (i + 1), "test_error": error, "select_seconds": "" if i == 0 else 0.5}
        for i, error in enumerate(errors)
    ]


def read_events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    held = accumulator.EventAccumulator(str(folder / "tensorboard")).Reload()
    return {tag: [(event.step, event.value) for event in held.Scalars(tag)] for tag in held.Tags()["scalars"]}


def read_mlflow(uri: Path) -> dict[str, object]:
    client = pytest.importorskip("mlflow").MlflowClient(uri.as_uri())
    experiment = client.get_experiment_by_name("usps").experiment_id
    (run,) = client.search_runs([experiment])
    metric = client.get_metric_history(run.info.run_id, "test_error")
    return {
        "errors": sorted((point.step, point.value) for point in metric),
        "params": run.data.params,
        "name": run.info.run_name,
        "status": run.info.status,
    }


def test_tensorboard_holds_every_row_and_a_resumed_run_each_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with logged(TensorBoard(tmp_path, SETTINGS), []) as log:
        for row in rows(0.5, 0.25):
            log.write(row)
    expected = {"test_error": [(8, 0.5), (16, 0.25)], "select_seconds": [(16, 0.5)]}
    assert read_events(tmp_path) == expected
    with logged(TensorBoard(tmp_path, SETTINGS), rows(0.5, 0.25)) as log:
        log.write(rows(0.5, 0.25, 0.125)[2])
    assert read_events(tmp_path)["test_error"] == [(8, 0.5), (16, 0.25), (24, 0.125)]


def test_mlflow_holds_every_row_and_a_resumed_run_each_once(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    uri = tmp_path / "mlruns"
    with (
        pytest.raises(KeyboardInterrupt),
        logged(Mlflow(tmp_path, SETTINGS, str(uri)), []) as log,
    ):
        log.write(rows(0.5)[0])
        raise KeyboardInterrupt
    assert read_mlflow(uri)["status"] == "KILLED"
    with logged(Mlflow(tmp_path, SETTINGS, str(uri)), rows(0.5)) as log:
        log.write(rows(0.5, 0.25)[1])
    held = read_mlflow(uri)
    assert held["errors"] == [(8, 0.5), (16, 0.25)]
    assert held["params"]["budget.query"] == "8"  # type: ignore[index]
    assert (held["name"], held["status"]) == ("bald seed 3", "FINISHED")


def test_a_logger_that_fails_is_said_once_and_the_run_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Away:
        def write(self, row: object) -> None:
            raise ConnectionError("no server")

        def close(self, whole: bool) -> None:
            raise AssertionError("not asked again")

    with caplog.at_level(logging.WARNING), logged(Away(), rows(0.5, 0.4)) as log:
        log.write(rows(0.3)[0])
    assert [record.message for record in caplog.records] == [
        "Away can't be written (ConnectionError: no server); the run goes on without it"
    ]
    Guarded(None).write({})


def test_a_package_that_is_missing_is_named() -> None:
    with pytest.raises(
        UsageError, match=r"logger=x needs the package no_such_package; pip install 'al-runner\[loggers\]'"
    ):
        require("no_such_package", "logger=x")


def test_only_measurements_are_logged() -> None:
    assert numbers({"round": 1, "labelled": 8, "test_error": 0.5, "select_seconds": "", "steps": "64"}) == {
        "test_error": 0.5,
        "steps": 64.0,
    }


def test_a_run_logs_what_its_rounds_csv_holds(tmp_path: Path) -> None:
    quick = ["strategy=random", "budget.max_rounds=1", "training.max_checks=1", "model=usps_cnn"]
    command = [sys.executable, "-m", "al_runner.main", *quick, f"results={tmp_path}"]
    subprocess.run([*command, "logger=tensorboard"], check=True, capture_output=True)
    (folder,) = (file.parent for file in tmp_path.rglob("rounds.csv"))
    recorded = list(csv.DictReader((folder / "rounds.csv").open()))
    events = read_events(folder)
    assert [step for step, _ in events["test_error"]] == [int(row["labelled"]) for row in recorded]
    assert [value for _, value in events["test_error"]] == pytest.approx([float(row["test_error"]) for row in recorded])
    again = subprocess.run(command, check=True, capture_output=True, text=True)  # logging does not change what a run is
    assert "finished already" in again.stdout + again.stderr
