"""hydra/launcher=processes: processes on this machine take the runs of a sweep from a queue."""

import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock, Thread
from typing import Annotated

from hydra.core.utils import JobReturn, filter_overrides
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from al_runner.settings.declare import options
from al_runner.settings.kinds import CountOrZero, Few, Means
from al_runner.sweeps.begin import RETRIES, announce, begin, conclude, outcome, part_command, part_environment
from al_runner.sweeps.elsewhere import Elsewhere
from al_runner.sweeps.worker import Lost, Worker
from al_runner.system.gpus import gpus_in_turn
from al_runner.system.signals import Stopped, finishing, noted_signal

log = logging.getLogger(__name__)


class ProcessesLauncher(Launcher):
    """Runs all jobs to their end. Then it raises one error that names the failed jobs."""

    @options("hydra.launcher")
    def __init__(
        self,
        n_jobs: Annotated[Few, Means("runs at the same time; the others wait for their turn")],
        keep_going: Annotated[
            bool, Means("false: the first run that fails stops the others at the end of their round")
        ] = True,
        retries: Annotated[CountOrZero, Means(RETRIES)] = 2,
    ):
        super().__init__()
        self.n_jobs, self.keep_going, self.retries = n_jobs, keep_going, retries

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from al_runner.sweeps.watch import drawing  # noqa: PLC0415 - rich, which al-run --help need not wait for

        begin(self.config)
        folders = announce(self.hydra_context, self.config, job_overrides)
        command = part_command(self.config.hydra, job_overrides, "hydra/sweeper=fed")
        places = [
            {**part_environment(self.config.hydra), **gpu}
            for gpu in gpus(self.config.device, min(self.n_jobs, len(job_overrides)))
        ]
        log.info("%d jobs in %d processes", len(job_overrides), len(places))
        queue = Queue(job_overrides, folders, initial_job_idx, self.keep_going, self.retries)
        with drawing(Path(str(self.config.hydra.sweep.dir)), folders) as draw:
            queue.work(command, places, draw)
        conclude(queue.returns)
        return queue.returns


class Queue:
    """The jobs of a sweep, and the workers: a free worker takes the next job."""

    def __init__(
        self,
        job_overrides: Sequence[Sequence[str]],
        folders: Sequence[Path | None],
        first: int,
        keep_going: bool,
        retries: int,
    ):
        self.returns = [JobReturn(overrides=list(filter_overrides(overrides))) for overrides in job_overrides]
        self._jobs, self._first = job_overrides, first
        self._waiting, self._elsewhere = deque(range(len(job_overrides))), Elsewhere(folders)
        self._looking = Lock()  # one worker at a time looks for jobs that other processes have let go of
        self._workers: dict[int, Worker] = {}
        self._keep_going, self._retries, self._stopping = keep_going, retries, False
        self._lost: Counter[int] = Counter()

    def work(
        self,
        command: Sequence[str],
        environments: Sequence[Mapping[str, str]],
        draw: Callable[[], None] | None = None,
    ) -> None:
        """Do all jobs, with one worker for each of `environments`. Raises Stopped if a signal came.

        If there is `draw`, it is called again and again to show them, and the workers are silent.
        """
        threads = [
            Thread(target=self._serve, args=(place, command, environment, draw is not None))
            for place, environment in enumerate(environments)
        ]
        with finishing():
            for thread in threads:
                thread.start()
            try:
                self._watch(threads, draw)
            except Stopped:
                self._stop()
                raise
            finally:
                for thread in threads:
                    thread.join()
        if noted_signal():
            raise Stopped(noted_signal())
        for number in self._waiting:
            self._end(number, "not begun, since another run failed")

    def _watch(self, threads: Sequence[Thread], draw: Callable[[], None] | None) -> None:
        """Wait for the workers; if a signal was noted, stop them."""
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(0.05)
            if draw is not None:
                draw()
            if noted_signal() and not self._stopping:
                self._stop()

    def _stop(self) -> None:
        self._stopping = True
        for worker in [*self._workers.values()]:
            worker.stop()

    def _serve(self, place: int, command: Sequence[str], environment: Mapping[str, str], silent: bool) -> None:
        """Take jobs until there are none; start a new worker if one was lost or is spent."""
        while (self._waiting or self._elsewhere) and not self._stopping:
            worker = self._workers[place] = Worker(command, environment, silent=silent)
            if self._stopping:
                worker.stop()
            try:
                while not (self._stopping or worker.spent):
                    self._do(self._next(), worker)
            except (Lost, IndexError):  # IndexError: no job is left
                continue
            finally:
                worker.close()
                del self._workers[place]

    def _next(self) -> int:
        """The next job. Jobs that other processes have let go of come last. Raises IndexError if there are none."""
        while not self._waiting and self._elsewhere and not self._stopping:
            with self._looking:
                if not self._waiting:
                    self._waiting.extend(self._elsewhere.freed(lambda: self._stopping))
        return self._waiting.popleft()

    def _do(self, number: int, worker: Worker) -> None:
        """Do a job. Raises Lost if its process ended; the job is then in the queue again, or has failed."""
        try:
            answer = worker.run(self._first + number, self._jobs[number])
            if answer.taken:
                self._elsewhere.leave(number, " ".join(self.returns[number].overrides or []))
            else:
                self._end(number, answer.error)
        except Lost as loss:
            self._lost[number] += 1
            if self._stopping:
                self._end(number, "stopped, since another run failed")
            elif loss.code < 0 and self._lost[number] <= self._retries:
                log.warning("%s: %s; it starts again", " ".join(self.returns[number].overrides or []), loss)
                self._waiting.appendleft(number)
            else:
                self._end(number, f"{loss}; its recorded rounds are kept")
            raise

    def _end(self, number: int, error: str | None) -> None:
        self.returns[number] = outcome(self._jobs[number], error)
        if error is not None and not self._keep_going and not self._stopping:
            self._stop()  # at once, before a worker takes the next job


def gpus(device: str, count: int) -> list[dict[str, str]]:
    """Environment variables of `count` workers: each sees one GPU, in turn, or none if there is none."""
    cards = gpus_in_turn(device)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(cards)))
    names = visible.split(",")[:cards]
    return [{"CUDA_VISIBLE_DEVICES": names[place % cards]} if cards else {} for place in range(count)]
