"""What a run is told of its device's energy; where no GPU is at hand, an imitation of NVML answers."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
import toy

from al_runner.engine.drive import drive
from al_runner.record.run import RunRecord
from al_runner.strategies.random import Random
from al_runner.system.energy import Meter, counter_of

CUDA = torch.device("cuda", 1)


def readings(*values: float | None) -> Iterator[float | None]:
    return iter(values)


def test_a_run_has_its_seconds_at_the_mean_power_since_the_last_reading() -> None:
    """200 W for 10 s, then 50 W for 4 s; another run of the process had the other seconds."""
    energy, time = readings(1000.0, 3000.0, 3200.0), readings(0.0, 10.0, 14.0)
    meter = Meter(lambda: next(energy), lambda: next(time) or 0.0)
    assert meter.joules(8.0) == 1600.0
    assert meter.joules(1.0) == 50.0


def test_the_joules_of_runs_that_share_a_process_add_up_to_the_device_s() -> None:
    energy, time = [0.0], [0.0]
    meters = [Meter(lambda: energy[0], lambda: time[0]) for _ in range(3)]
    shares = [0.5, 2.0, 7.5]
    energy[0], time[0] = 900.0, 10.0
    joules = [meter.joules(share) for meter, share in zip(meters, shares, strict=True)]
    assert sum(value or 0.0 for value in joules) == pytest.approx(900.0, rel=1e-12)
    assert joules == [45.0, 180.0, 675.0]


def test_where_a_reading_fails_two_rows_are_blank_and_no_more() -> None:
    energy, time = readings(0.0, None, 100.0, 150.0), readings(0.0, 1.0, 2.0, 3.0)
    meter = Meter(lambda: next(energy), lambda: next(time) or 0.0)
    assert [meter.joules(1.0) for _ in range(3)] == [None, None, 50.0]


class NvmlError(Exception):
    pass


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A driver whose second GPU has used 5,250 mJ and 1,000 more at every reading."""
    module, used = ModuleType("pynvml"), [4250]

    def energy(handle: str) -> int:
        assert handle == "handle of GPU-the-second"
        used[0] += 1000
        return used[0]

    vars(module).update(
        NVMLError=NvmlError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda name: f"handle of {name}",
        nvmlDeviceGetTotalEnergyConsumption=energy,
    )
    monkeypatch.setitem(sys.modules, "pynvml", module)
    uuids = ["the-first", "the-second"]
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid=uuids[torch.device(device).index])
    )
    return module


def test_a_gpu_is_asked_by_its_own_name(nvml: ModuleType) -> None:
    count = counter_of(CUDA)
    assert (count(), count()) == (5.25, 6.25)


def test_a_gpu_that_does_not_say_leaves_no_number(nvml: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: str) -> int:
        raise NvmlError("not supported")

    monkeypatch.setattr(nvml, "nvmlDeviceGetTotalEnergyConsumption", refuse)
    assert counter_of(CUDA)() is None


def test_nvidia_s_own_binding_knows_the_calls_of_the_imitation(nvml: ModuleType) -> None:
    imitated = [name for name in vars(nvml) if name.lower().startswith("nvml")]
    del sys.modules["pynvml"]
    assert len(imitated) == 4
    assert all(hasattr(import_module("pynvml"), name) for name in imitated)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_real_gpu_counts_upwards() -> None:
    count = counter_of(torch.device("cuda", 0))
    before = count()
    if before is None:
        pytest.skip("this GPU does not count its energy")
    weights = torch.randn(4096, 4096, device="cuda")
    for _ in range(200):
        weights = (weights @ weights).tanh()
    torch.cuda.synchronize()
    assert (count() or 0.0) > before


def test_a_torch_that_can_t_name_its_gpu_leaves_no_number(nvml: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(name="a GPU"))
    assert counter_of(CUDA)() is None


def test_without_the_extra_and_on_a_cpu_there_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert counter_of(CUDA)() is None
    assert counter_of(torch.device("cpu"))() is None


@pytest.mark.parametrize("watts", [None, 100.0])
def test_a_row_holds_the_energy_of_its_fit_and_its_selection(tmp_path: Path, watts: float | None) -> None:
    record = RunRecord(tmp_path)
    record.settle()
    drive(toy.experiment(Random()).run(record, joules=lambda seconds: None if watts is None else watts * seconds))
    for row in record.rows:
        if watts is None:
            assert row["energy_joules"] == ""
        else:
            seconds = float(row["fit_seconds"]) + float(row["select_seconds"])
            assert float(row["energy_joules"]) == pytest.approx(watts * seconds, abs=6e-4)
