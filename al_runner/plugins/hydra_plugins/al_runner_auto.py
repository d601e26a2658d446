"""hydra/launcher=auto: lock-step on a GPU, processes on a CPU."""

from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class AutoLauncher(Launcher):
    """Gives the sweep to the launcher that is faster on the sweep's device."""

    def __init__(self, cpu: Launcher, gpu: Launcher):
        super().__init__()
        self.cpu, self.gpu = cpu, gpu

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        import torch  # noqa: PLC0415 - takes two seconds, which al-run --help need not wait for

        on_gpu = config.device.startswith("cuda") or (config.device == "auto" and torch.cuda.is_available())
        self.launcher = self.gpu if on_gpu else self.cpu
        self.launcher.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        returns: Sequence[JobReturn] = self.launcher.launch(job_overrides, initial_job_idx)
        return returns
