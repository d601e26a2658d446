"""A stamp tells whether files have changed."""

import os
from pathlib import Path

from al_runner.system.stamps import stamp


def test_a_file_and_a_folder_have_other_stamps_when_they_change(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "cat").mkdir(parents=True)
    picture = folder / "cat" / "a.png"
    picture.write_bytes(b"one")
    for path, times in ((picture, (1, 2)), (folder, (3, 4))):
        for time, text in zip(times, (b"one", b"and more"), strict=True):
            before = stamp(path)
            assert before == stamp(path)
            picture.write_bytes(text)
            os.utime(picture, ns=(0, time))
            assert stamp(path) != before
    before = stamp(folder)
    (folder / "fox").mkdir()
    assert stamp(folder) == before
    (folder / "fox" / "b.png").write_bytes(b"two")
    assert len(stamp(folder)) == 2


def test_links_are_followed_and_never_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.png").write_bytes(b"one")
    (tmp_path / "photos" / "cat").symlink_to(tmp_path / "elsewhere")
    for name in ("back", "again"):
        (tmp_path / "elsewhere" / name).symlink_to(tmp_path / "photos")
    assert [Path(file).name for file, _, _ in stamp(tmp_path / "photos")] == ["a.png"]


def test_what_is_not_there_has_no_stamp(tmp_path: Path) -> None:
    assert stamp(tmp_path / "nothing") == ()
