import csv
import os
import re

import numpy as np
import pytest
from PIL import Image

from al_runner.data.spoil import repeated
from al_runner.errors import UsageError

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


def test_a_folder_may_have_a_backslash_in_its_name(tmp_path, load, pets):
    root = pets[0].rename(tmp_path / "a\\b")
    assert len(load("folder", tmp_path, f"path='{root}'").labels) == 20


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
    with pytest.raises(
        Exception,
        match=re.escape("dataset.resize is [12]; give one number, as in dataset.resize=32, or height and width"),
    ):
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
    with pytest.raises(Exception, match=r"dataset\.channels is 2; it must be 1 or 3, or null"):
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
    return r"1 of 20 images can't be read: .*cat/3\.png \(.*\); replace or remove them, or .* dataset\.skip_broken=true"


def deep_image(root):
    Image.fromarray(np.full((6, 4), 40_000, np.uint16)).save(root / "dog" / "3.png")
    return r"1 of 20 images have more than 8 bits a channel: .*dog/3\.png \(Pillow's mode I;16\); save them with 8"


def empty_class(root):
    (root / "bird").mkdir()
    return r"bird holds no image \(\.png, .*; fill the class or remove its folder"


def single_class(root):
    (root / "dog").rename(root.parent / "elsewhere")
    return r"pets: 1 class folders found; give two or more"


def train_alone(root):
    """A part without another: the class folders lie inside it."""
    for name in ("cat", "dog"):
        (root / name).rename(root.parent / name)
        (root / "train").mkdir(exist_ok=True)
        (root.parent / name).rename(root / "train" / name)
    return (
        r"has train/ with class folders in it but no test/ with the same; add it, or give dataset\.path=.*pets/train; "
        r"dataset\.splits=false makes every sub-folder a class"
    )


def other_classes(root):
    for part, names in (("train", "ab"), ("test", "ac")):
        for name in names:
            save(root / part / name / "0.png", picture())
    return r"train/ and test/ hold different classes; .* \(only one has '\w+'"


@pytest.mark.parametrize(
    "spoil", [broken_image, deep_image, empty_class, single_class, train_alone, other_classes], ids=lambda f: f.__name__
)
def test_what_can_not_be_used_is_named_and_nothing_kept(tmp_path, load, pets, spoil):
    root, _ = pets
    message = spoil(root)
    with pytest.raises(Exception, match=message):
        load("folder", tmp_path / "data_root", f"path={root}")
    assert not list((tmp_path / "data_root").glob("*.npz*"))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("null", r"dataset=folder needs dataset\.path=FOLDER"),
        ("/nowhere/at/all", r"dataset\.path=/nowhere/at/all is no folder; give dataset\.path=FOLDER"),
    ],
)
def test_a_path_that_is_no_folder_is_refused(tmp_path, load, path, message):
    with pytest.raises(Exception, match=message):
        load("folder", tmp_path, f"path={path}")


def broken(root, count):
    """So many broken images: empty, cut off, text, links to nothing, in turn."""
    made = []
    for number in range(count):
        file = root / ("cat", "dog")[number % 2] / f"x{number:02}.png"
        kind = number % 4
        if kind == 0:
            file.write_bytes(b"")
        elif kind == 1:
            file.write_bytes((root / "cat" / "1.png").read_bytes()[:60])
        elif kind == 2:
            file.write_text("<html>not found</html>")
        else:
            file.symlink_to(root / "gone.png")
        made.append(file)
    return made


@pytest.mark.parametrize("count", [1, 4, 10, 23])
def test_all_broken_images_are_named_at_once_or_left_out_and_counted(tmp_path, load, pets, count, caplog):
    root, pictures = pets
    files = sorted(broken(root, count))
    with pytest.raises(Exception, match=rf"{count} of {20 + count} images can't be read: ") as caught:
        load("folder", tmp_path, f"path={root}")
    named = [file for file in files if str(file) in str(caught.value)]
    assert named == files[:10]
    assert (f" and {count - 10} more; replace" in str(caught.value)) == (count > 10)
    assert "dataset.skip_broken=true" in str(caught.value)
    for _ in range(2):  # when the data set is prepared, and at every later start
        caplog.clear()
        data = load("folder", tmp_path, f"path={root}", "skip_broken=true")
        assert np.array_equal(data.images.permute(0, 2, 3, 1).numpy(), np.stack(pictures))
        assert data.labels.tolist() == [0] * 10 + [1] * 10
        (line,) = caplog.messages
        assert line.startswith(f"{count} of {20 + count} images can't be read and are left out: {files[0]} (")


def test_broken_and_deep_images_are_named_together_and_deep_ones_never_left_out(tmp_path, load, pets):
    root, _ = pets
    broken(root, 2)
    deep_image(root)
    with pytest.raises(Exception, match=r"2 of 22 images can't be read: .*; 1 of 22 images have more than 8 bits"):
        load("folder", tmp_path, f"path={root}")
    with pytest.raises(Exception, match=r"1 of 22 images have more than 8 bits a channel"):
        load("folder", tmp_path, f"path={root}", "skip_broken=true")


def test_a_class_that_is_left_without_an_image_is_named(tmp_path, load, pets):
    root, _ = pets
    for file in (root / "dog").iterdir():
        file.write_bytes(b"")
    with pytest.raises(Exception, match=r"all images of class dog in train are broken; replace them or remove"):
        load("folder", tmp_path, f"path={root}", "skip_broken=true")
    for file in (root / "cat").iterdir():
        file.write_bytes(b"")
    with pytest.raises(Exception, match=r"all 20 images are broken: .*; replace them"):
        load("folder", tmp_path, f"path={root}", "skip_broken=true")


def test_broken_images_of_every_part_are_left_out_of_their_own(tmp_path, load, caplog):
    made = {}
    for part, count in (("train", 5), ("val", 3), ("test", 4)):
        for name in ("a", "b"):
            for number in range(count):
                made[part, name, number] = save(tmp_path / "own" / part / name / f"{number}.png", picture())
    for part in ("train", "val", "test"):
        (tmp_path / "own" / part / "a" / "1.png").write_bytes(b"")
        del made[part, "a", 1]
    data = load("folder", tmp_path, f"path={tmp_path / 'own'}", "skip_broken=true")
    assert "3 of 24 images can't be read and are left out" in caplog.text
    parts = {"train": data.train, "val": data.val, "test": data.test}
    assert [len(ids) for ids in parts.values()] == [9, 5, 7]
    for part, ids in parts.items():
        expected = [array for key, array in made.items() if key[0] == part]
        assert np.array_equal(data.images[ids].permute(0, 2, 3, 1).numpy(), np.stack(expected))
        assert data.labels[ids].tolist() == [int(key[1] == "b") for key in made if key[0] == part]


def test_a_val_folder_is_the_validation_set_and_its_ids_come_last(tmp_path, load):
    for part, count in (("Training", 10), ("valid", 4), ("Testing", 3)):
        for name in ("a", "b"):
            for number in range(count):
                save(tmp_path / "own" / part / name / f"{number}.png", picture())
    path = f"path={tmp_path / 'own'}"
    data = load("folder", tmp_path, path)
    assert (data.train.tolist(), data.test.tolist(), data.val.tolist()) == (
        [*range(20)],
        [*range(20, 26)],
        [*range(26, 34)],
    )
    assert data.labels[data.val].tolist() == [0] * 4 + [1] * 4
    merged = load("folder", tmp_path, path, "split.val=5")
    assert (len(merged.train), len(merged.val), len(merged.test)) == (23, 5, 6)


@pytest.mark.parametrize(("resize", "shape"), [("16", (16, 16)), ("[8,12]", (8, 12))])
def test_a_size_may_be_one_number(tmp_path, load, pets, resize, shape):
    root, _ = pets
    data = load("folder", tmp_path, f"path={root}", f"resize={resize}")
    assert data.image_shape == (3, *shape)
    with Image.open(root / "cat" / "0.png") as image:
        expected = np.asarray(image.resize(shape[::-1]))
    assert np.array_equal(data.images[0].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("resize", ["big", "16.5", "true", "[1,2,3]", "0", "[16,a]"])
def test_a_size_that_is_none_is_one_line(tmp_path, load, pets, resize):
    with pytest.raises(Exception, match=r"dataset\.resize is .*; give one number, as in") as caught:
        load("folder", tmp_path, f"path={pets[0]}", f"resize={resize}")
    assert isinstance(caught.value.__cause__, UsageError)


def test_a_changed_shape_is_said_at_every_start_and_two_options_keep_it(tmp_path, load, pets, caplog):
    root, _ = pets
    save(root / "cat" / "0.png", picture(6, 8))
    for _ in range(2):
        caplog.clear()
        load("folder", tmp_path, f"path={root}", "resize=[6,4]")
        assert caplog.messages == [
            "1 of 20 images change their shape by dataset.resize=[6,4], one side up to 2.00 times as much as the "
            "other; dataset.fit=crop or dataset.fit=pad keeps it"
        ]
    for fit in ("crop", "pad"):
        caplog.clear()
        load("folder", tmp_path, f"path={root}", "resize=[6,4]", f"fit={fit}")
        assert caplog.messages == []


def test_transparency_is_said_and_the_ground_is_an_option(tmp_path, load, pets, caplog):
    root, pictures = pets
    alpha = np.full((6, 4), 255, np.uint8)
    alpha[:3] = 0
    save(root / "cat" / "0.png", np.dstack([pictures[0], alpha]))
    for ground, value in (("white", 255), ("black", 0)):
        caplog.clear()
        data = load("folder", tmp_path, f"path={root}", f"ground={ground}")
        image = data.images[0].permute(1, 2, 0).numpy()
        assert (image[:3] == value).all()
        assert np.array_equal(image[3:], pictures[0][3:])
        expected = f"1 of 20 images have transparency, which is laid on {ground} (dataset.ground)"
        assert caplog.messages == [expected]


def test_further_images_of_a_file_are_said(tmp_path, load, pets, caplog):
    root, _ = pets
    frames = [Image.fromarray(picture()) for _ in range(3)]
    frames[0].save(root / "cat" / "0.tif", save_all=True, append_images=frames[1:])
    data = load("folder", tmp_path, f"path={root}")
    assert np.array_equal(data.images[1].permute(1, 2, 0).numpy(), np.asarray(frames[0]))
    assert caplog.messages == ["1 of 21 files hold more images than one; the first of each is read"]


def test_the_options_are_part_of_what_was_prepared(tmp_path, load, pets):
    root, _ = pets
    for options in (
        [],
        ["ground=black"],
        ["resize=6"],
        ["resize=6", "fit=pad"],
        ["skip_broken=true"],
        ["splits=false"],
    ):
        load("folder", tmp_path / "root", f"path={root}", *options)
    assert len([*(tmp_path / "root").glob("*.npz")]) == 6


def test_every_image_has_the_name_of_its_file(tmp_path, load, pets):
    """Also the copies of a pool of repeated images, and a file whose name is no UTF-8."""
    root, pictures = pets
    odd = os.fsencode(root / "cat" / "0.png")
    os.rename(odd, odd.replace(b"0.png", b"0\xff.png"))
    data = load("folder", tmp_path / "data_root", f"path={root}")
    names = [f"cat/{'0�' if number == 0 else number}.png" for number in range(10)]
    assert list(data.files) == sorted(names) + [f"dog/{number}.png" for number in range(10)]
    for name, image in zip(data.files, data.images, strict=True):
        label, number = re.match(r"(\w+)/(\d)", name).groups()
        assert np.array_equal(image.permute(1, 2, 0).numpy(), pictures[10 * (label == "dog") + int(number)])
    twice = repeated(data, 2, noise=0)
    assert all(name == data.files[i] for i, name in zip(data.train.tolist(), twice.files[20:], strict=True))


def test_a_class_whose_folder_is_no_utf_8_is_refused(tmp_path, load, pets):
    root, _ = pets
    os.rename(os.fsencode(root / "cat"), os.fsencode(root) + b"/c\xfft")
    with pytest.raises(Exception, match=r"the names of these class folders are no UTF-8: c.t; rename"):
        load("folder", tmp_path / "data_root", f"path={root}")


def test_what_is_bought_is_named_in_the_table(al_run, tmp_path, pets):
    root, _ = pets
    words = [f"dataset.path={root}", f"data_root={tmp_path / 'data'}", f"results={tmp_path / 'out'}", "strategy=random"]
    code, output = al_run("dataset=folder", "budget.initial=4", "budget.query=3", "budget.max_rounds=1", *words)
    assert code == 0, output
    (file,) = tmp_path.glob("out/**/acquired.csv")
    with file.open() as table:
        bought = [*csv.DictReader(table)]
    assert len(bought) == 7
    for row in bought:
        kind, number = row["file"].removesuffix(".png").split("/")
        assert int(row["id"]) == 10 * (kind == "dog") + int(number)
        assert int(row["label"]) == (kind == "dog")
