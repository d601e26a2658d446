"""What `al-run` shows of one run: lines without a terminal, and a live line on one."""

from pathlib import Path

from command import command, digits8, finished
from terminal import on_a_terminal, require_one_table


def log_of(results: Path) -> str:
    (file,) = results.rglob("al-run.log")
    return file.read_text()


def test_a_run_begins_with_what_it_is(tmp_path: Path) -> None:
    code, output = finished(*digits8(tmp_path, "strategy=random"))
    first, second, third, round_0, *_ = output.splitlines()
    start = "digits random seed 0 | "
    assert code == 0
    assert first == (
        f"{start}data: images of 8 x 8 pixels, 10 classes; 1,097 to choose from, 200 for validation, 500 for the test"
    )
    assert (
        second == f"{start}net: usps_cnn with 43,680 parameters, learner plain, training adam_short, on cpu (1 thread)"
    )
    assert third.startswith(f"{start}4 rounds, from 20 labels to 80; folder ")
    assert third.endswith("digits/usps_cnn-plain-adam_short-digits/random/seed0")
    assert round_0.startswith(f"{start}round 0/3 |    20 labelled | test error")
    assert "data:" not in finished(*digits8(tmp_path, "strategy=random"))[1]  # it is finished already


def test_a_terminal_shows_a_live_line_in_place_of_the_lines_of_rounds(tmp_path: Path) -> None:
    ended = on_a_terminal(command(*digits8(tmp_path, "strategy=random")))
    assert (ended.code, ended.same) == (0, True)
    assert "net: usps_cnn with 43,680 parameters" in ended.plain
    assert "round 3 of 3" in ended.plain
    assert "| round" not in ended.plain
    assert ended.text.count("\x1b[?25l") == ended.text.count("\x1b[?25h") == 1  # the cursor is shown again
    assert log_of(tmp_path).count("| round") == 4


def test_ctrl_c_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    slow = ["budget.max_rounds=6", "training.max_checks=2", "training.check_every=200"]
    ended = on_a_terminal(command(*digits8(tmp_path, "strategy=random", *slow)), interrupt_at=" of 6 ")
    assert (ended.code, ended.same) == (130, True), ended.plain
    assert "Traceback" not in ended.text
    assert ended.text.rstrip().endswith("the same command resumes where it stopped")
    assert ended.text.count("\x1b[?25l") == ended.text.count("\x1b[?25h")


def test_a_sweep_of_processes_is_one_table_on_a_terminal(tmp_path: Path) -> None:
    words = ["-m", "device=cpu", "hydra.launcher.cpu.n_jobs=1", "seed=0,1", "strategy=random"]
    require_one_table(on_a_terminal(command(*digits8(tmp_path, *words))), tmp_path)
