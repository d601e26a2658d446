import re
import signal
from pathlib import Path
from time import sleep

import numpy as np
import pytest

from al_runner.data.archive import sha256
from al_runner.data.arrays import Arrays, DataFile
from al_runner.data.prepared import prepared, read
from al_runner.errors import UsageError

# A source in a process of its own: appends a line each time it runs, and makes 2 MB of images.
PREPARE = """
import os, resource, signal, sys, time
from pathlib import Path
import numpy as np
from al_runner.data.archive import sha256
from al_runner.data.arrays import Arrays, DataFile
from al_runner.data.prepared import prepared
from al_runner.errors import UsageError

root, action = sys.argv[1:]

def make():
    with (Path(root) / "made.txt").open("a") as file:
        file.write("made\\n")
    if action == "hang":
        time.sleep(600)
    if action == "wait":
        time.sleep(0.5)
    if action in ("full", "killed"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    if action == "killed":  # by the kernel, in the middle of the write
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    images = np.arange(2000 * 32 * 32, dtype=np.uint32).astype(np.uint8).reshape(2000, 32, 32)
    labels = np.arange(2000) % 10
    return Arrays(images, labels, images[:10], labels[:10], np.array(list("abcdefghij")))

try:
    print(int(prepared(root, "toy", make).train_images.sum(dtype=np.int64)))
except UsageError as error:
    sys.exit(str(error))
"""
SUM = 2000 * 4 * sum(range(256))  # 32 * 32 pixels are four times 0..255
FINISHED = {"toy.npz", "toy.npz.sha256", "toy.lock", "made.txt"}


def toy() -> Arrays:
    images = np.arange(6 * 4 * 4, dtype=np.uint8).reshape(6, 4, 4)
    labels = np.array([0, 1, 2, 0, 1, 2])
    return Arrays(images, labels, images[:2], labels[:2], np.array(["cat", "dog", "owl"]))


def never() -> Arrays:
    raise AssertionError("made although it was there")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_second_reading_gives_the_same_and_makes_nothing(tmp_path):
    first = prepared(tmp_path / "new" / "root", "toy", toy)
    again = prepared(tmp_path / "new" / "root", "toy", never)
    for made, left, right in zip(toy()[:-1], first[:-1], again[:-1], strict=True):
        assert np.array_equal(made, left)
        assert np.array_equal(made, right)
    assert first.source == again.source == DataFile("toy.npz", sha256(tmp_path / "new" / "root" / "toy.npz"))
    assert again.train_labels.dtype == np.int64


def test_eight_processes_at_once_prepare_once(tmp_path, python):
    processes = [python(PREPARE, tmp_path, "wait") for _ in range(8)]
    assert [process.communicate() for process in processes] == [(f"{SUM}\n", "")] * 8
    assert (tmp_path / "made.txt").read_text() == "made\n"
    assert names(tmp_path) == FINISHED


def test_a_process_killed_while_writing_leaves_nothing_that_is_read(tmp_path, python):
    killed = python(PREPARE, tmp_path, "killed")
    killed.communicate()
    assert killed.returncode == -signal.SIGXFSZ
    assert "toy.npz" not in names(tmp_path)
    assert (tmp_path / ".toy.npz.partial").stat().st_size == 200_000
    assert python(PREPARE, tmp_path, "make").communicate() == (f"{SUM}\n", "")
    assert names(tmp_path) == FINISHED


def test_a_process_killed_while_making_gives_its_turn_back(tmp_path, python):
    hanging = python(PREPARE, tmp_path, "hang")
    while not (tmp_path / "made.txt").exists():
        assert hanging.poll() is None
        sleep(0.01)
    hanging.kill()
    hanging.communicate()
    assert python(PREPARE, tmp_path, "make").communicate(timeout=60) == (f"{SUM}\n", "")
    assert names(tmp_path) == FINISHED


def test_a_disk_that_fills_leaves_nothing_and_is_named(tmp_path, python):
    full = python(PREPARE, tmp_path, "full")
    _, message = full.communicate()
    assert full.returncode == 1
    assert message.count("\n") == 1
    assert f"{tmp_path / 'toy.npz'} can't be prepared or read (File too large); make {tmp_path} writable" in message
    assert names(tmp_path) == {"made.txt", "toy.lock"}


def test_a_data_root_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"Not a directory.*data_root=\.\.\. or AL_DATA"):
        prepared(tmp_path / "file" / "root", "toy", toy)


@pytest.mark.parametrize("damage", [lambda raw: raw[:-100], lambda raw: raw[:300] + b"\xff" + raw[301:], lambda _: b""])
def test_a_damaged_file_is_refused_with_its_remedy(tmp_path, damage):
    prepared(tmp_path, "toy", toy)
    path = tmp_path / "toy.npz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UsageError, match=re.escape(f"{path} is damaged") + ".*delete both files"):
        prepared(tmp_path, "toy", never)
    path.unlink()
    (tmp_path / "toy.npz.sha256").unlink()
    assert np.array_equal(prepared(tmp_path, "toy", toy).train_images, toy().train_images)


def test_deleting_the_file_alone_prepares_it_again(tmp_path):
    prepared(tmp_path, "toy", toy)
    (tmp_path / "toy.npz").unlink()
    (tmp_path / "toy.npz.sha256").write_text("of another file\n")
    assert np.array_equal(prepared(tmp_path, "toy", toy).train_images, toy().train_images)


def test_a_file_placed_by_hand_gets_its_checksum(tmp_path):
    arrays = toy().named()
    del arrays["classes"]
    np.savez(tmp_path / "toy.npz", **arrays)
    assert list(prepared(tmp_path, "toy", never).classes) == ["0", "1", "2"]
    path = tmp_path / "toy.npz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UsageError, match="is damaged"):
        prepared(tmp_path, "toy", never)


def test_a_broken_file_placed_by_hand_gets_none(tmp_path):
    (tmp_path / "toy.npz").write_bytes(b"not a zip file")
    with pytest.raises(
        UsageError, match=r"toy\.npz can't be read as an \.npz file; give an \.npz file with train_images"
    ):
        prepared(tmp_path, "toy", never)
    assert names(tmp_path) == {"toy.npz", "toy.lock"}


def test_what_a_source_makes_wrong_is_not_kept(tmp_path):
    with pytest.raises(UsageError, match=r"toy: train_images is float64 \(6, 4, 4\); it must be uint8"):
        prepared(tmp_path, "toy", lambda: toy()._replace(train_images=np.zeros((6, 4, 4))))
    assert names(tmp_path) == {"toy.lock"}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_every_flipped_byte_and_every_length_is_sound_or_one_line(tmp_path, save):
    path = tmp_path / "toy.npz"
    save(path, **toy().named())
    raw, sound = path.read_bytes(), read(path)
    damaged = [raw[:place] + bytes([raw[place] ^ 0xFF]) + raw[place + 1 :] for place in range(0, len(raw), 3)]
    damaged += [raw[:length] for length in range(0, len(raw), 7)]
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            arrays = read(path)
        except UsageError as error:
            refused += 1
            assert "\n" not in str(error)
        else:  # a byte that says nothing, such as the file's date, or the optional class names' own name
            assert all(np.array_equal(left, right) for left, right in zip(sound[:4], arrays[:4], strict=True))
    assert refused > len(damaged) / 2
