"""What happens to runs when machines, disks, clocks and people do what they do."""

import ctypes
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import ENVIRONMENT, started
from faults import LENGTHY, QUICK, Child, killed_at_sync, killed_in_append, require_equal, run_folder, times
from hydra.core.utils import JobStatus
from recorded import rounds, untimed

from al_runner.plugins.hydra_plugins.al_runner_processes import Queue
from al_runner.record.state import DONE, STOPPED, read

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
SLOW = ["training.check_every=25", "training.max_checks=8", "training.patience=8"]  # a third of a second a round
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing happened to."""
    results, start = tmp_path_factory.mktemp("whole"), time.monotonic()
    assert Child([*QUICK, f"results={results}"], results / "log").wait() == 0
    (results / "seconds").write_text(str(time.monotonic() - start))
    return run_folder(results)


def test_killed_at_any_moment_nothing_recorded_is_lost(
    whole: Path, seconds: float, tmp_path: Path, record_property: Record
) -> None:
    """SIGKILL at random moments, every second one inside a write; where a run is done the next begins."""
    moments = random.Random(0)
    tried, runs, inside = times(10, 50), 0, 0
    killed = 0
    while killed < tried:
        results = tmp_path / str(runs)
        held = ""
        while True:
            writing, last = killed % 2 == 1, killed == tried
            before = killed_at_sync(moments.randint(1, 30)) if writing and not last else lambda: None
            child = Child([*QUICK, f"results={results}"], results / "log", before)
            if not child.killed_after(600 if writing or last else moments.uniform(0, 1.2 * seconds)):
                break
            killed, inside = killed + 1, inside + writing
            files = [*results.rglob("rounds.csv")]
            now = files[0].read_text() if files else ""
            assert now.startswith(held)
            held = now
        require_equal(run_folder(results), whole)
        runs += 1
    record_property("SIGKILL at a random moment", f"{killed} tried, {killed} survived; {inside} of them inside a write")


def test_killed_at_every_write_of_a_run_in_turn(whole: Path, tmp_path: Path, record_property: Record) -> None:
    """As many kills as a run forces things to disk, each resumed to the end."""
    tried = 0
    for place in range(1, 200, 1 if LENGTHY else 6):
        results = tmp_path / str(place)
        child = Child([*QUICK, f"results={results}"], results / "log", killed_at_sync(place))
        if child.wait() != -signal.SIGKILL:
            break
        tried += 1
        assert Child([*QUICK, f"results={results}"], results / "log").wait() == 0
        require_equal(run_folder(results), whole)
        shutil.rmtree(results)
    assert tried >= 5
    record_property("SIGKILL at the n-th forced write, n = 1, 2, ...", f"{tried} tried, {tried} survived")


def test_killed_inside_every_addition_to_a_file_in_turn(whole: Path, tmp_path: Path, record_property: Record) -> None:
    """Half a line is on disk, of the journal or of a table; the run that goes on says nothing of damage."""
    tried = 0
    for place in range(1, 200, 1 if LENGTHY else 7):
        results = tmp_path / str(place)
        child = Child([*QUICK, f"results={results}"], results / "log", killed_in_append(place))
        if child.wait() != -signal.SIGKILL:
            break
        tried += 1
        assert Child([*QUICK, f"results={results}"], results / "log").wait() == 0
        assert "damaged" not in (results / "log").read_text()
        require_equal(run_folder(results), whole)
        assert not list(results.rglob("*.damaged*"))
        shutil.rmtree(results)
    assert tried >= 4
    record_property("SIGKILL inside the n-th addition to a file", f"{tried} tried, {tried} survived")


def bought(results: Path) -> int:
    """The last round that a run has bought for, -1 for none."""
    files = [*results.rglob("acquired.csv")]
    return int(files[0].read_text().splitlines()[-1].split(",")[0]) if files else -1


def until_recorded(results: Path, wanted: int) -> None:
    deadline = time.monotonic() + 120
    while rounds(results) < wanted and time.monotonic() < deadline:
        time.sleep(0.01)


def signals_in_training(number: signal.Signals, check: int, count: int) -> Callable[[], None]:
    """In a child process: sends itself `count` signals at check number `check` of the validation error."""

    def prepare() -> None:
        from al_runner.engine.stopping import Patience

        real, left = Patience.record, [check]

        def record(rule: Patience, error: float) -> bool:
            left[0] -= 1
            for _ in range(count if left[0] == 0 else 0):
                os.kill(os.getpid(), number)
            return real(rule, error)

        Patience.record = record  # type: ignore[method-assign]

    return prepare


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_waits_for_the_round_and_a_second_one_does_not(
    whole: Path, tmp_path: Path, record_property: Record, number: signal.Signals
) -> None:
    """A fit has four checks, so the sixth is in the middle of round 1."""
    arguments, log = [*QUICK, f"results={tmp_path / 'out'}"], tmp_path / "log"
    assert Child(arguments, log, signals_in_training(number, check=6, count=1)).wait() == 128 + number
    folder = run_folder(tmp_path / "out")
    assert (rounds(tmp_path), bought(tmp_path)) == (2, 2)  # round 1 is done, and what it chose is recorded
    assert "finishing the current round" in log.read_text()
    assert (read(folder) or pytest.fail("no state")).state == STOPPED
    assert Child(arguments, log, signals_in_training(number, check=2, count=2)).wait() == 128 + number
    assert (rounds(tmp_path), bought(tmp_path)) == (2, 2)
    assert Child(arguments, log).wait() == 0
    require_equal(folder, whole)
    record_property(f"{number.name}, and twice", "2 tried, 2 survived")


def sweep(launcher: str, results: Path, *more: str) -> "subprocess.Popen[str]":
    words = [*QUICK, *SLOW, "seed=0,1,2", f"results={results}", f"hydra/launcher={launcher}", *more]
    return started("-m", *words)


@pytest.fixture(scope="module")
def seconds(whole: Path) -> float:
    """How long that run took."""
    return float((whole.parents[3] / "seconds").read_text())


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of three seeds that nothing happened to."""
    results = tmp_path_factory.mktemp("three")
    assert sweep("lockstep", results).wait() == 0
    return results


def require_equal_sweeps(results: Path, reference: Path) -> None:
    folders = [file.parent for file in reference.rglob("rounds.csv")]
    assert len(folders) == 3
    for folder in folders:
        require_equal(results / folder.relative_to(reference), folder)


@pytest.mark.parametrize("launcher", ["processes", "lockstep"])
def test_a_sweep_ends_at_the_end_of_its_rounds(
    three: Path, tmp_path: Path, record_property: Record, launcher: str
) -> None:
    process = sweep(launcher, tmp_path)
    until_recorded(tmp_path, 2)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, output
    assert output.count("the same command resumes") == 1
    assert 2 <= rounds(tmp_path) < 18  # no more than 2 if one run was between two rounds and the other had not begun
    again = sweep(launcher, tmp_path)
    output, _ = again.communicate()
    assert (again.returncode, "all 3 jobs are done" in output) == (0, True), output
    require_equal_sweeps(tmp_path, three)
    record_property(f"SIGTERM to a sweep, hydra/launcher={launcher}", "1 tried, 1 survived")


def workers(parent: int) -> list[int]:
    """The sweep's processes; by pgrep, since ps cuts lines off where a terminal's width is set."""
    command = ["pgrep", "-P", str(parent), "-f", "hydra/sweeper=fed"]  # 1 where there are none
    return [*map(int, subprocess.run(command, check=False, capture_output=True, text=True).stdout.split())]


def both_workers(process: "subprocess.Popen[str]") -> list[int]:
    """A sweep's two processes, once both are there: one killed before is replaced."""
    while len(below := workers(process.pid)) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    return below


def test_killed_workers_start_again(three: Path, tmp_path: Path, record_property: Record) -> None:
    process = sweep("processes", tmp_path, "hydra.launcher.n_jobs=2")
    killed = times(2, 4)
    for number in range(killed):
        until_recorded(tmp_path, 2 + 2 * number)
        os.kill(both_workers(process)[number % 2], signal.SIGKILL)
    output, _ = process.communicate()
    assert (process.returncode, "all 3 jobs are done" in output) == (0, True), output
    assert output.count("its process was killed by signal 9; it starts again") == killed
    require_equal_sweeps(tmp_path, three)
    record_property("SIGKILL of a worker in a sweep", f"{killed} tried, {killed} survived")


def test_a_worker_killed_between_two_runs_is_replaced() -> None:
    """Each carries out one run, and is gone before it has read the next."""
    answer = "import os; input(); os.close(0); print('{\"error\": null}', flush=True); os.kill(os.getpid(), 9)"
    queue = Queue([["seed=0"], ["seed=1"], ["seed=2"]], [None] * 3, 0, keep_going=True, retries=1)
    queue.work([sys.executable, "-c", answer], [{}])
    assert [job.status for job in queue.returns] == [JobStatus.COMPLETED] * 3


BROKEN = """
import os
from dataclasses import dataclass
from al_runner.strategies.random import Random

broken = set()  # process numbers

@dataclass(frozen=True)
class Breaks(Random):
    async def query(self, fitted, pool, n, streams):
        if streams.seed == 0 or broken:
            broken.add(os.getpid())
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return await super().query(fitted, pool, n, streams)
"""


def test_a_gpu_s_error_in_one_run_fails_no_other_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After such an error the GPU refuses all work of that process, so the next run needs another one."""
    (tmp_path / "own_breaks.py").write_text(BROKEN)
    monkeypatch.setitem(ENVIRONMENT, "PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    own = ["strategy=random", "strategy._target_=own_breaks.Breaks", "hydra.launcher.n_jobs=1", "device=cpu"]
    process = sweep("processes", tmp_path / "out", "budget.max_rounds=2", "training.max_checks=1", *own)
    output, _ = process.communicate()
    assert process.returncode == 1, output
    assert "1 of 3 jobs failed" in output
    assert "CUDA error: an illegal memory access was encountered" in output.splitlines()[-1]


def test_a_sweep_whose_own_process_is_killed_takes_its_workers_along(three: Path, tmp_path: Path) -> None:
    process = sweep("processes", tmp_path, "hydra.launcher.n_jobs=2")
    until_recorded(tmp_path, 2)
    below = both_workers(process)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in below) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in below)
    assert sweep("processes", tmp_path).wait() == 0
    require_equal_sweeps(tmp_path, three)


def test_fail_fast_stops_the_others_and_keep_going_does_not(tmp_path: Path) -> None:
    """The first of three has a query of none."""
    words = ["budget.query=0,20,30", "name=q${budget.query}", "hydra.launcher.n_jobs=1"]
    for keep_going, begun in (("false", 0), ("true", 2)):
        results = tmp_path / keep_going
        process = sweep("processes", results, *words, "seed=0", f"hydra.launcher.keep_going={keep_going}")
        output, _ = process.communicate()
        assert process.returncode == 1
        assert "budget.query is 0" in output
        assert ("not begun, since another run failed" in output) == (keep_going == "false")
        assert len(list(results.rglob("rounds.csv"))) == begun


def test_of_several_processes_on_one_folder_one_runs(whole: Path, tmp_path: Path, record_property: Record) -> None:
    tried, refused = times(1, 10), 0
    for attempt in range(tried):
        results = tmp_path / str(attempt)
        children = [Child([*QUICK, f"results={results}"], tmp_path / f"log{attempt}-{i}") for i in range(4)]
        codes = [child.wait() for child in children]
        logs = [(tmp_path / f"log{attempt}-{i}").read_text() for i in range(4)]
        assert codes.count(0) >= 1
        for code, log in zip(codes, logs, strict=True):
            assert code == 0 or (code == 1 and "is in use by another process" in log)
        assert sum("round 0/5" in log for log in logs) == 1
        refused += codes.count(1)
        require_equal(run_folder(results), whole)
    record_property("4 processes on one folder", f"{tried} tried, {tried} survived ({refused} refused in all)")


@pytest.mark.parametrize("launchers", [("processes", "processes"), ("lockstep", "processes")], ids="-".join)
def test_two_sweeps_of_the_same_runs_share_them(
    three: Path, tmp_path: Path, record_property: Record, launchers: tuple[str, str]
) -> None:
    both = [sweep(launcher, tmp_path) for launcher in launchers]
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert all("all 3 jobs are done" in output for output in outputs)
    assert "another process is carrying it out; this sweep waits" in "".join(outputs)
    assert sum(output.count("round 0/") for output in outputs) == 3  # each run was begun once
    require_equal_sweeps(tmp_path, three)
    record_property(f"the same sweep twice at once ({' and '.join(launchers)})", "1 tried, 1 survived")


def test_of_two_sweeps_one_is_killed_and_the_other_ends_its_runs(
    three: Path, tmp_path: Path, record_property: Record
) -> None:
    first = sweep("processes", tmp_path, "hydra.launcher.n_jobs=2")
    until_recorded(tmp_path, 1)
    second = sweep("processes", tmp_path, "hydra.launcher.n_jobs=1")
    until_recorded(tmp_path, 5)
    first.kill()
    first.communicate()
    output, _ = second.communicate()
    assert (second.returncode, "all 3 jobs are done" in output) == (0, True), output
    require_equal_sweeps(tmp_path, three)
    record_property("SIGKILL of one of two such sweeps", "1 tried, 1 survived")


def locks_do_nothing() -> None:
    """In a child: what a network file system does whose locks are local to a machine, on two machines."""
    import fcntl

    fcntl.flock = lambda *_: None  # type: ignore[assignment]
    fcntl.lockf = lambda *_: None  # type: ignore[assignment]


def test_where_locks_do_nothing_still_only_one_runs(whole: Path, tmp_path: Path, record_property: Record) -> None:
    tried = times(1, 10)
    for attempt in range(tried):
        results = tmp_path / str(attempt)
        logs = [tmp_path / f"log{attempt}-{i}" for i in range(4)]
        children = [Child([*QUICK, f"results={results}"], log, locks_do_nothing) for log in logs]
        codes = [child.wait() for child in children]
        assert codes.count(0) >= 1
        assert sum("round 0/5" in log.read_text() for log in logs) == 1
        require_equal(run_folder(results), whole)
    record_property("4 processes on one folder, locks without effect", f"{tried} tried, {tried} survived")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 400 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    if not ROOT or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "al", place], check=False).returncode:
        pytest.skip("mounting a file system needs root")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_disk_that_fills_stops_the_run_and_room_lets_it_go_on(
    whole: Path, small_disk: Path, tmp_path: Path, record_property: Record
) -> None:
    arguments = [*QUICK, f"results={small_disk}"]
    tried = times(2, 8)
    for number in range(tried):
        filler = small_disk / "filler"
        child = Child([*arguments, f"seed={number}"], tmp_path / f"log{number}")
        until_recorded(small_disk, 1 + number % 4)
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 512)
            except OSError:
                file.truncate(max(0, file.tell() // 4096 * 4096 - 4096 * (number % 2)))
        code, log = child.wait(), (tmp_path / f"log{number}").read_text()
        assert code == 0 or (code == 1 and "No space left on device)" in log), log
        assert "Traceback" not in log
        filler.unlink()
        assert Child([*arguments, f"seed={number}"], tmp_path / "log").wait() == 0
        assert Child([*QUICK, f"seed={number}", f"results={tmp_path / 'r'}{number}"], tmp_path / "log").wait() == 0
        require_equal(run_folder(small_disk), run_folder(tmp_path / f"r{number}"))
        shutil.rmtree(small_disk / "digits")
    record_property("outputs on a disk that fills", f"{tried} tried, {tried} survived")


def test_a_data_root_that_fills_is_named(small_disk: Path, tmp_path: Path) -> None:
    """Images of half a megabyte do not fit; once there is room they do."""
    import numpy as np
    from PIL import Image

    random_ = np.random.default_rng(0)
    for label in range(2):
        (tmp_path / "images" / str(label)).mkdir(parents=True)
        for number in range(60):
            image = Image.fromarray(random_.integers(0, 256, (64, 64), dtype=np.uint8))
            image.save(tmp_path / "images" / str(label) / f"{number}.png")
    images = ["dataset=folder", f"dataset.path={tmp_path / 'images'}", "dataset.split.val=20", "dataset.split.test=20"]
    arguments = [*QUICK, *images, "budget.query=5", "budget.initial=5", "model=small_cnn", f"data_root={small_disk}"]
    code = Child([*arguments, f"results={tmp_path / 'out'}"], tmp_path / "log").wait()
    log = (tmp_path / "log").read_text()
    assert (code, "(No space left on device); make" in log, "Traceback" in log) == (1, True, False), log
    subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    assert Child([*arguments, f"results={tmp_path / 'out'}"], tmp_path / "log").wait() == 0


def like_everybody() -> None:
    """In a child: permissions mean something, also to root (capset of linux/capability.h, version 3)."""
    if ROOT:
        libc = ctypes.CDLL(None, use_errno=True)
        header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        assert libc.capget(header, data) == 0
        data[0] &= ~0b110  # effective: neither CAP_DAC_OVERRIDE nor CAP_DAC_READ_SEARCH
        assert libc.capset(header, data) == 0


def test_an_outputs_folder_that_becomes_read_only_stops_the_run(
    whole: Path, tmp_path: Path, record_property: Record
) -> None:
    results, tried = tmp_path / "out", times(1, 5)
    for number in range(tried):
        child = Child([*QUICK, f"results={results}"], tmp_path / "log", like_everybody)
        until_recorded(results, 1 + number % 4)
        folder = run_folder(results)
        for path in (folder, *folder.glob("*.*")):  # a file that may be written is added to, whatever its folder allows
            path.chmod(0o555)
        code, log = child.wait(), (tmp_path / "log").read_text()
        for path in (folder, *folder.glob("*.*")):
            path.chmod(0o755)
        assert code == 1, log
        assert "can't be written (Permission denied)" in log
        assert "Traceback" not in log
        assert Child([*QUICK, f"results={results}"], tmp_path / "log").wait() == 0
        require_equal(folder, whole)
        shutil.rmtree(results)
        (tmp_path / "log").unlink()
    record_property("outputs folder made read-only", f"{tried} tried, {tried} survived")


def broken(content: bytes, how: random.Random) -> bytes:
    """With one bit flipped, or cut short."""
    if how.random() < 0.3:
        return content[: how.randrange(len(content))]
    place, bit = how.randrange(len(content)), 1 << how.randrange(8)
    return content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]


def test_a_damaged_journal_is_named_and_cut_to_its_last_sound_round_when_asked(
    whole: Path, tmp_path: Path, record_property: Record
) -> None:
    how, tried, noticed = random.Random("journal"), times(4, 40), 0
    for number in range(tried):
        results, log = tmp_path / str(number), tmp_path / f"log{number}"
        shutil.copytree(whole.parents[3], results)
        folder = run_folder(results)
        (folder / "journal.jsonl").write_bytes(broken((whole / "journal.jsonl").read_bytes(), how))
        arguments = [*QUICK, f"results={results}"]
        code = Child(arguments, log).wait()
        if code == 0:  # only a last line without its end, as after a crash
            require_equal(folder, whole)
            continue
        noticed += 1
        assert code == 1
        assert "damaged; restore it from a copy, go on after its last sound round with recover=true" in log.read_text()
        assert "Traceback" not in log.read_text()
        assert Child([*arguments, "recover=true"], log).wait() == 0, log.read_text()
        assert "damaged and set aside" in log.read_text()
        require_equal(folder, whole)
        assert list(folder.glob("*.damaged1"))
        assert Child(arguments, log).wait() == 0
        shutil.rmtree(results)
    assert noticed >= tried // 2
    record_property("journal truncated or a bit flipped", f"{tried} tried, {tried} survived ({noticed} refused first)")


@pytest.mark.parametrize("name", ["rounds.csv", "acquired.csv", "predicted.csv", "config.yaml", "provenance.json"])
def test_a_damaged_view_is_written_anew(whole: Path, tmp_path: Path, record_property: Record, name: str) -> None:
    how, tried = random.Random(name), times(2, 40)
    shutil.copytree(whole.parents[3], tmp_path / "out")
    folder, log = run_folder(tmp_path / "out"), tmp_path / "log"
    before, kept = (folder / name).read_bytes(), []
    for _ in range(tried):
        damaged = broken(before, how)
        (folder / name).write_bytes(damaged)
        log.unlink(missing_ok=True)
        assert Child([*QUICK, f"results={tmp_path / 'out'}"], log).wait() == 0, log.read_text()
        assert (folder / name).read_bytes() == before
        kept += [] if before.startswith(damaged) else [damaged]  # one that lacks its end is no loss
        assert (f"{name} damaged and set aside" in log.read_text()) == (not before.startswith(damaged))
        require_equal(folder, whole)
    found = {path.read_bytes() for path in folder.glob(f"{name}.damaged*")}
    assert found == {*kept}
    record_property(f"{name} truncated or a bit flipped", f"{tried} tried, {tried} survived ({len(kept)} kept beside)")


JUMPING_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long jump(void) { return (rand() % 3 - 1) * (rand() % 100000000L); }
int clock_gettime(clockid_t id, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(id, now);
    if (id == CLOCK_REALTIME) now->tv_sec += jump();
    return code;
}
int gettimeofday(struct timeval *now, void *zone) {
    int (*real)(struct timeval *, void *) = dlsym(RTLD_NEXT, "gettimeofday");
    int code = real(now, zone);
    now->tv_sec += jump();
    return code;
}
time_t time(time_t *now) {
    struct timeval value;
    gettimeofday(&value, 0);
    if (now) *now = value.tv_sec;
    return value.tv_sec;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None or sys.platform != "linux", reason="needs a C compiler and LD_PRELOAD")
def test_a_clock_that_jumps_by_years_changes_nothing(whole: Path, tmp_path: Path, record_property: Record) -> None:
    """Every look at the clock gives another time, up to three years off."""
    (tmp_path / "clock.c").write_text(JUMPING_CLOCK)
    library = tmp_path / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "clock.c", "-ldl"], check=True)
    environment = {**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"}
    probe = [sys.executable, "-c", "import time; print(len({round(time.time(), -4) for _ in range(99)}))"]
    assert int(subprocess.run(probe, env=environment, capture_output=True, text=True, check=True).stdout) > 20
    command = [sys.executable, "-m", "al_runner.main", *QUICK, f"results={tmp_path / 'out'}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder = run_folder(tmp_path / "out")
    require_equal(folder, whole)
    assert (read(folder) or pytest.fail("no state")).state == DONE
    assert all(0 < float(row["fit_seconds"]) < 600 for row in rows_with_times(folder))
    record_property("a clock that jumps at every look", "1 tried, 1 survived")


def rows_with_times(folder: Path) -> list[dict[str, str]]:
    import csv

    assert untimed(folder)
    with (folder / "rounds.csv").open() as file:
        return [*csv.DictReader(file)]
