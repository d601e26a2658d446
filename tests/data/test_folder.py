import os
import re

import numpy as np
import pytest
from PIL import Image

RNG = np.random.default_rng(0)


def picture(height=6, width=4, colour=True):
    return RNG.integers(0, 256, (height, width, 3) if colour else (height, width)).astype(np.uint8)


def save(file, array):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(file)
    return array


@pytest.fixture
def pets(tmp_path):
    """Two classes of ten, made in another order than that of their names."""
    root = tmp_path / "pets"
    made = {}
    for name in ("dog", "cat"):
        for number in (7, 1, 3, 0, 9, 2, 8, 4, 6, 5):
            made[name, number] = save(root / name / f"{number}.png", picture())
    return root, [made[name, number] for name in ("cat", "dog") for number in range(10)]


def test_a_folder_comes_back_pixel_for_pixel(tmp_path, load, pets):
    root, pictures = pets
    data = load("folder", tmp_path / "data_root", f"path={root}")
    assert np.array_equal(data.images.permute(0, 2, 3, 1).numpy(), np.stack(pictures))
    assert data.labels.tolist() == [0] * 10 + [1] * 10
    assert data.classes == ("cat", "dog")
    assert (len(data.train), len(data.val), len(data.test)) == (14, 2, 4)


def test_train_and_test_folders_are_kept_apart(tmp_path, load):
    for part, count in (("train", 10), ("test", 3)):
        for name in ("a", "b"):
            for number in range(count):
                save(tmp_path / "own" / part / name / f"{number}.png", picture())
    data = load("folder", tmp_path, f"path={tmp_path / 'own'}")
    assert data.classes == ("a", "b")
    assert data.labels.tolist() == [0] * 10 + [1] * 10 + [0] * 3 + [1] * 3
    assert data.test.tolist() == list(range(20, 26))
    assert (len(data.train), len(data.val)) == (18, 2)


def test_a_changed_file_is_noticed_and_an_unchanged_one_not_read(tmp_path, load, pets):
    root, _ = pets
    before = load("folder", tmp_path, f"path={root}")
    changed = root / "cat" / "0.png"
    times = changed.stat()
    content = changed.read_bytes()
    changed.write_bytes(b"x" * len(content))  # neither size nor time differ: the prepared file answers
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert np.array_equal(load("folder", tmp_path, f"path={root}").images, before.images)
    new = save(changed, picture())
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns + 10**9))
    after = load("folder", tmp_path, f"path={root}")
    assert np.array_equal(after.images[0].permute(1, 2, 0).numpy(), new)
    (root / "dog" / "9.png").unlink()
    assert len(load("folder", tmp_path, f"path={root}").images) == 19


def test_images_of_unequal_size_are_named_and_resize_mends_it(tmp_path, load, pets):
    root, _ = pets
    odd = root / "dog" / "5.png"
    save(odd, picture(8, 4))
    message = (
        f"{root / 'cat' / '0.png'} is 6 x 4, {odd} is 8 x 4; make all images one size, or set dataset.resize=[H,W]"
    )
    with pytest.raises(Exception, match=re.escape(message)):
        load("folder", tmp_path, f"path={root}")
    assert load("folder", tmp_path, f"path={root}", "resize=[12,10]").image_shape == (3, 12, 10)
    with pytest.raises(Exception, match=re.escape("dataset.resize is [12]; give height and width")):
        load("folder", tmp_path, f"path={root}", "resize=[12]")


def test_channels_are_those_asked_for_or_colour_where_any_has_it(tmp_path, load, pets):
    root, pictures = pets
    grey = save(root / "cat" / "0.png", picture(colour=False))
    mixed = load("folder", tmp_path, f"path={root}")
    assert np.array_equal(mixed.images[0].numpy(), np.stack([grey] * 3))
    assert np.array_equal(mixed.images[1].permute(1, 2, 0).numpy(), pictures[1])
    assert load("folder", tmp_path, f"path={root}", "channels=1").image_shape == (1, 6, 4)
    for file in root.rglob("*.png"):
        save(file, picture(colour=False))
    assert load("folder", tmp_path, f"path={root}").image_shape == (1, 6, 4)
    assert load("folder", tmp_path, f"path={root}", "channels=3").image_shape == (3, 6, 4)
    with pytest.raises(Exception, match=r"dataset\.channels is 2; choose 1, 3 or null"):
        load("folder", tmp_path, f"path={root}", "channels=2")


def test_what_is_no_image_is_ignored(tmp_path, load, pets):
    root, pictures = pets
    (root / "cat" / "notes.txt").write_text("not an image")
    (root / "cat" / "._0.png").write_bytes(b"macOS puts these into archives")
    (root / "readme.md").write_text("not a class")
    (root / ".cache").mkdir()
    data = load("folder", tmp_path, f"path={root}")
    assert np.array_equal(data.images.permute(0, 2, 3, 1).numpy(), np.stack(pictures))


def broken_image(root):
    (root / "cat" / "3.png").write_bytes((root / "cat" / "3.png").read_bytes()[:60])
    return r"cat/3\.png can't be read as an image .*; replace or remove it"


def deep_image(root):
    Image.fromarray(np.full((6, 4), 40_000, np.uint16)).save(root / "dog" / "3.png")
    return r"dog/3\.png has more than 8 bits a pixel \(Pillow's mode I;16\); save it with 8"


def empty_class(root):
    (root / "bird").mkdir()
    return r"bird holds no image \(\.png, .*; fill the class or remove its folder"


def single_class(root):
    (root / "dog").rename(root.parent / "elsewhere")
    return r"pets: 1 class folders found; give two or more"


def train_alone(root):
    (root / "cat").rename(root / "train")
    return r"has train/ but no test/; add test/, or give dataset\.path=.*pets/train"


def other_classes(root):
    for part, names in (("train", "ab"), ("test", "ac")):
        for name in names:
            save(root / part / name / "0.png", picture())
    return "train/ and test/ hold different classes"


@pytest.mark.parametrize(
    "spoil", [broken_image, deep_image, empty_class, single_class, train_alone, other_classes], ids=lambda f: f.__name__
)
def test_what_can_not_be_used_is_named_and_nothing_kept(tmp_path, load, pets, spoil):
    root, _ = pets
    message = spoil(root)
    with pytest.raises(Exception, match=message):
        load("folder", tmp_path / "data_root", f"path={root}")
    assert not list((tmp_path / "data_root").glob("*.npz*"))


@pytest.mark.parametrize("path", ["null", "/nowhere/at/all"])
def test_a_path_that_is_no_folder_is_refused(tmp_path, load, path):
    with pytest.raises(Exception, match=r"dataset\.path=.* is no folder; give dataset\.path=FOLDER"):
        load("folder", tmp_path, f"path={path}")
