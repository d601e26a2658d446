"""What hydra/launcher=ray says if GPUs of a cluster stay idle. A stand-in takes the place of the package Ray."""

import logging
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from al_runner.plugins.hydra_plugins import al_runner_ray
from al_runner.plugins.hydra_plugins.al_runner_ray import RayLauncher


@pytest.mark.parametrize(
    ("gpus_found", "gpus_each", "device", "warned"),
    [(2, 0, "auto", True), (0, 0, "auto", False), (2, 0.5, "auto", False), (2, 0, "cpu", False)],
)
def test_gpus_that_no_run_gets_are_named(monkeypatch, caplog, gpus_found, gpus_each, device, warned):
    ray = SimpleNamespace(
        is_initialized=lambda: True,
        init=lambda **_: None,
        remote=lambda **_: lambda function: function,
        cluster_resources=lambda: {"CPU": 8.0, "GPU": gpus_found},
    )
    monkeypatch.setattr(al_runner_ray, "part_command", lambda *_: [])
    monkeypatch.setattr(al_runner_ray, "part_environment", lambda *_: {})
    launcher = RayLauncher(None, 1, gpus_each, 0, {})
    launcher.config = OmegaConf.create({"device": device, "hydra": {}})
    with caplog.at_level(logging.WARNING):
        assert launcher._carry_out(ray, [], 0, None) == []
    assert ("hydra.launcher.gpus=1 gives one to each run" in caplog.text) == warned
