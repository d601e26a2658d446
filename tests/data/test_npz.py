import re

import numpy as np
import pytest
import torch
from hydra.errors import InstantiationException

from al_runner.errors import UsageError


def save(folder, **changes):
    images = np.arange(40 * 5 * 4 * 3, dtype=np.uint32).astype(np.uint8).reshape(40, 5, 4, 3)
    labels = np.arange(40) % 4
    arrays = {"train_images": images[:30], "train_labels": labels[:30]}
    arrays |= {"test_images": images[30:], "test_labels": labels[30:]} | changes
    np.savez(folder / "mine.npz", **{name: array for name, array in arrays.items() if array is not None})
    return f"path={folder / 'mine.npz'}", images, labels


def test_own_arrays_are_kept_as_they_are(tmp_path, load):
    path, images, labels = save(tmp_path, classes=np.array(["a", "b", "c", "d"]))
    data = load("npz", tmp_path / "unused", path)
    assert data.image_shape == (3, 5, 4)
    assert data.images.is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(data.images.permute(0, 2, 3, 1).numpy(), images)
    assert data.labels.tolist() == labels.tolist()
    assert data.classes == ("a", "b", "c", "d")
    assert (len(data.train), len(data.val), data.test.tolist()) == (27, 3, list(range(30, 40)))
    assert not (tmp_path / "unused").exists()


def test_without_test_images_a_fifth_is_held_out(tmp_path, load):
    nothing = {"test_images": np.zeros((0, 5, 4, 3), np.uint8), "test_labels": np.zeros(0, np.int64)}
    data = load("npz", tmp_path, save(tmp_path, **nothing)[0])
    assert (len(data.train), len(data.val), len(data.test)) == (22, 2, 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_labels": None}, "has no array test_labels; it needs train_images, train_labels"),
        ({"train_images": np.zeros((30, 5, 4, 3))}, r"train_images is float64 \(30, 5, 4, 3\)"),
        ({"train_images": np.zeros((30, 20), np.uint8)}, r"it must be uint8 \[N, H, W\(, C\)\]"),
        (
            {"train_images": np.zeros((30, 3, 32, 32), np.uint8)},
            r"so its channels seem to be first; dataset\.channels=first",
        ),
        ({"train_labels": np.zeros(29, np.int64)}, r"train_labels is int64 \(29,\); it must be 30 integers"),
        ({"train_labels": np.zeros(30)}, "train_labels is float64"),
        ({"train_labels": np.full(30, -2)}, r"labels are -2 \.\. 3; they must be 0 \.\. 3"),
        (
            {"train_labels": np.full(30, -1), "classes": np.array(["a", "b", "c"])},
            r"labels are 0 \.\. 3; they must be 0 \.\. 2, one for each class, and -1 for an image without a label",
        ),
        ({"classes": np.array(["a", "b", "c"])}, r"labels are 0 \.\. 3; they must be 0 \.\. 2, one for each class"),
        ({"test_images": np.zeros((10, 4, 4, 3), np.uint8)}, "train and test images differ in size"),
        ({"train_images": np.zeros((0, 5, 4, 3), np.uint8), "train_labels": np.zeros(0, int)}, "train_images is empty"),
        (
            {"train_labels": np.array([None] * 30)},
            r"train_labels holds Python objects; save whole numbers, labels\.astype",
        ),
    ],
)
def test_arrays_of_another_form_are_refused(tmp_path, load, changes, message):
    with pytest.raises(Exception, match=message) as caught:
        load("npz", tmp_path, save(tmp_path, **changes)[0])
    assert isinstance(caught.value.__cause__, UsageError)  # Hydra wraps what its targets raise


def test_a_missing_file_is_named(tmp_path, load):
    with pytest.raises(Exception, match=r"gone\.npz does not exist; name the file with dataset\.path="):
        load("npz", tmp_path, f"path={tmp_path / 'gone.npz'}")
    with pytest.raises(Exception, match=r"dataset=npz needs dataset\.path=FILE\.npz"):
        load("npz", tmp_path)


IMAGES = np.arange(40 * 5 * 4 * 3, dtype=np.uint32).astype(np.uint8).reshape(40, 5, 4, 3)
LABELS = np.arange(40) % 4


def first(images):
    return np.moveaxis(images, -1, 1)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("size", [(8, 8), (4, 8), (8, 13), (4, 4), (3, 5)], ids=str)
@pytest.mark.parametrize("option", ["null", "first", "last"])
def test_channels_first_is_read_so_where_it_is_asked_for_and_else_refused(tmp_path, load, channels, size, option):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, *size, channels)).astype(np.uint8)
    path = save(tmp_path, train_images=first(images)[:30], test_images=first(images)[30:])[0]
    if option == "null":
        shape = f"{(30, channels, *size)}"
        with pytest.raises(Exception, match=re.escape(shape) + r".*dataset\.channels=first reads it as") as caught:
            load("npz", tmp_path, path)
        assert isinstance(caught.value.__cause__, UsageError)
    else:
        found = load("npz", tmp_path, path, f"channels={option}")
        expected = images if option == "first" else first(images)
        assert np.array_equal(found.images.permute(0, 2, 3, 1).numpy(), expected)
        assert found.images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "shape", [(8, 8, 3), (8, 8, 1), (32, 20, 3), (4, 4, 3), (1, 1, 3), (5, 9, 4), (28, 28, 2), (8, 6, 4)], ids=str
)
def test_channels_last_is_told_by_the_sizes(tmp_path, load, shape):
    images = np.random.default_rng(0).integers(0, 256, (40, *shape)).astype(np.uint8)
    path = save(tmp_path, train_images=images[:30], test_images=images[30:])[0]
    assert np.array_equal(load("npz", tmp_path, path).images.permute(0, 2, 3, 1).numpy(), images)


@pytest.mark.parametrize("shape", [(8, 8, 13), (32, 32, 7), (8, 8, 8), (20, 3, 3), (3, 5, 4)], ids=str)
def test_where_it_can_t_be_told_the_option_says_so(tmp_path, load, shape):
    images = np.random.default_rng(0).integers(0, 256, (40, *shape)).astype(np.uint8)
    path = save(tmp_path, train_images=images[:30], test_images=images[30:])[0]
    with pytest.raises(Exception, match=r"its channels may be first or last; dataset\.channels=first reads it as"):
        load("npz", tmp_path, path)
    found = load("npz", tmp_path, path, "channels=last").images
    assert np.array_equal(found.permute(0, 2, 3, 1).numpy(), images)
    assert np.array_equal(load("npz", tmp_path, path, "channels=first").images.numpy(), images)


def test_images_without_a_channel_axis_have_no_place_for_it(tmp_path, load):
    path = save(tmp_path, train_images=IMAGES[:30, ..., 0], test_images=IMAGES[30:, ..., 0])[0]
    for option in ("null", "first", "last"):
        assert load("npz", tmp_path, path, f"channels={option}").image_shape == (1, 5, 4)
    with pytest.raises(Exception, match=r"dataset\.channels is 'middle'; it must be first or last, or null"):
        load("npz", tmp_path, path, "channels=middle")


WORDS = np.array(["owl", "cat", "dog", "ant"])
IN_ORDER = np.array([3, 1, 2, 0])[LABELS], ("ant", "cat", "dog", "owl")
SAME = {
    "column": (LABELS[:, None], None, LABELS, "0123"),
    "uint8": (LABELS.astype(np.uint8), None, LABELS, "0123"),
    "big-endian": (LABELS.astype(">i4"), None, LABELS, "0123"),
    "column of uint8": (LABELS.astype(np.uint8)[:, None], None, LABELS, "0123"),
    "true and false": (LABELS % 2 == 1, None, LABELS % 2, "01"),
    "words": (WORDS[LABELS], None, *IN_ORDER),
    "a column of words": (WORDS[LABELS][:, None], None, *IN_ORDER),
    "bytes": (WORDS[LABELS].astype("S"), None, *IN_ORDER),
    "words and classes": (WORDS[LABELS], WORDS, LABELS, WORDS),
    "numbers as classes": (LABELS, np.array([10, 20, 30, 40]), LABELS, ("10", "20", "30", "40")),
}


@pytest.mark.parametrize("kind", SAME)
def test_labels_of_every_usual_form_are_taken(tmp_path, load, kind):
    labels, classes, expected, names = SAME[kind]
    data = load("npz", tmp_path, save(tmp_path, train_labels=labels[:30], test_labels=labels[30:], classes=classes)[0])
    assert data.labels.tolist() == expected.tolist()
    assert data.labels.dtype == torch.int64
    assert data.classes == tuple(names)


MAPPED = {  # labels, class names; the empty classes that are named; the names of the others
    "from 1": (LABELS + 1, None, "0", "1234"),
    "a gap": (np.array([0, 1, 3, 4])[LABELS], None, "2", "0134"),
    "far apart": (np.array([0, 5, 10, 10**12])[LABELS], None, "1, 2, 3, 4, 6 and", ("0", "5", "10", str(10**12))),
    "a name too many": (LABELS, np.array(list("abcde")), "'e'", "abcd"),
    "a name in the middle": (np.array([0, 1, 3, 4])[LABELS], np.array(list("abcde")), "'c'", "abde"),
}


@pytest.mark.parametrize("kind", MAPPED)
def test_empty_classes_are_named_and_an_option_leaves_them_out(tmp_path, load, kind):
    labels, classes, empty, names = MAPPED[kind]
    path = save(tmp_path, train_labels=labels[:30], test_labels=labels[30:], classes=classes)[0]
    fix = r"relabel them 0 \.\. 3, or set dataset\.relabel=true"
    with pytest.raises(Exception, match=rf"no image is of class {empty}.*; {fix}"):
        load("npz", tmp_path, path)
    data = load("npz", tmp_path, path, "relabel=true")
    assert data.labels.tolist() == LABELS.tolist()
    assert data.classes == tuple(names)


def test_relabel_takes_minus_one_for_a_class_and_names_in_the_labels_order(tmp_path, load):
    signs = np.where(LABELS % 2, 1, -1)
    data = load("npz", tmp_path, save(tmp_path, train_labels=signs[:30], test_labels=signs[30:])[0], "relabel=true")
    assert (data.labels.tolist(), data.classes) == ((LABELS % 2).tolist(), ("-1", "1"))
    unknown = np.where(np.arange(40) % 3, LABELS + 1, -1)
    words = save(tmp_path, train_labels=unknown[:30], test_labels=LABELS[30:] + 1)[0], "relabel=true"
    data = load("npz", tmp_path, *words)  # more than two labels, and -1 in the training part alone: no label yet
    assert data.labels.tolist() == [*(unknown[:30] - (unknown[:30] > 0)), *LABELS[30:]]
    assert data.classes == ("1", "2", "3", "4")
    test = save(tmp_path, train_labels=unknown[:30], test_labels=unknown[30:])[0]
    assert load("npz", tmp_path, test, "relabel=true").classes == ("-1", "1", "2", "3", "4")
    beyond = {"train_labels": LABELS[:30] + 1, "test_labels": LABELS[30:] + 1, "classes": WORDS}
    assert load("npz", tmp_path, save(tmp_path, **beyond)[0], "relabel=true").classes == tuple(WORDS)
    beyond["classes"] = WORDS[:3]
    with pytest.raises(Exception, match=r"4 different numbers from 1 to 4, but classes has 3 names; give one name"):
        load("npz", tmp_path, save(tmp_path, **beyond)[0], "relabel=true")
    words = {"train_labels": WORDS[LABELS[:30]], "test_labels": WORDS[LABELS[30:]], "classes": [*WORDS, "emu"]}
    assert load("npz", tmp_path, save(tmp_path, **words)[0], "relabel=true").classes == tuple(WORDS)


def test_labels_that_need_no_mapping_stay_as_they_are(tmp_path, load):
    path, _, labels = save(tmp_path)
    assert load("npz", tmp_path, path, "relabel=true").labels.tolist() == labels.tolist()


NAN = np.array([np.nan, *range(29)])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_labels": NAN}, "some are NaN or infinite: leave images without a label out"),
        ({"train_labels": np.arange(30) / 2}, "some are fractions"),
        (
            {"train_labels": LABELS[:30].astype(float)},
            r"\(30,\); it must be 30 integers.*write labels\.astype\('int64'\)",
        ),
        ({"train_labels": np.eye(4)[LABELS[:30]]}, r"\(30, 4\); it must be 30 integers; .*, write labels\.argmax\(1\)"),
        ({"train_labels": np.array(3)}, r"train_labels is int64 \(\); it must be 30 integers"),
        ({"train_labels": WORDS[LABELS[:30]]}, "some labels are words, others numbers"),
        (
            {"train_labels": WORDS[LABELS[:30]], "test_labels": ["emu"] * 10, "classes": WORDS},
            "'emu' is only in the labels or only in classes",
        ),
        ({"classes": np.array(["a", "b", "a", "c"])}, "it must be a list of different names"),
        ({"classes": np.array([["a", "b"], ["c", "d"]])}, "it must be a list of different names"),
        (
            {"classes": np.array(list("abcd"), dtype=object)},
            r"classes holds Python objects; save words, numpy\.array\(",
        ),
        ({"train_images": np.array([None] * 30)}, "train_images holds Python objects; save uint8 values"),
        ({"train_images": IMAGES[:30] / 255}, r"float64 .*0 \.\. 1: write \(255 \* images\)\.round\(\)\.astype"),
        ({"train_images": IMAGES[:30] > 9}, r"bool .*0 \.\. 1: write \(255 \* images\)\.round\(\)\.astype"),
        ({"train_images": IMAGES[:30].astype(int)}, r"values are 0 \.\. 255: write images\.round\(\)\.astype"),
        ({"train_images": IMAGES[:30].astype(np.uint16) * 16}, r"its values are 0 \.\. 4080: scale them to 0 \.\. 255"),
        ({"train_images": np.uint8(3)}, r"train_images is uint8 \(\); it must be uint8 \[N, H, W"),
        ({"val_images": IMAGES[:4]}, "has no array val_labels; it needs .*val_images, val_labels"),
        ({"val_labels": LABELS[:4]}, "has no array val_images"),
        (
            {"val_images": np.zeros((4, 6, 4, 3), np.uint8), "val_labels": LABELS[:4]},
            "train and val images differ in size",
        ),
    ],
)
def test_what_is_wanted_is_said(tmp_path, load, changes, message):
    with pytest.raises(Exception, match=message) as caught:
        load("npz", tmp_path, save(tmp_path, **changes)[0])
    assert isinstance(caught.value.__cause__, UsageError)
    assert "damaged" not in str(caught.value)
    assert "delete" not in str(caught.value)


FILES = {
    "vectors.npy": (
        lambda file: np.save(file, np.zeros((9, 64), np.float32)),
        r"holds one array, float32 \(9, 64\); give an",
    ),
    "objects.npy": (
        lambda file: np.save(file, np.array([{}, None])),
        r"can't be read as an \.npz file; give an \.npz file with",
    ),
    "keras.npz": (
        lambda file: np.savez(file, x_train=IMAGES, y_train=LABELS),
        r"has x_train, y_train; give an \.npz file",
    ),
    "empty.npz": (np.savez, r"has no array; give an \.npz file with train_images"),
    "text.csv": (lambda file: file.write_text("a,b\n"), r"can't be read as an \.npz file; give an \.npz file with"),
    "nothing.npz": (lambda file: file.write_bytes(b""), r"can't be read as an \.npz file \(No data left in file\)"),
    "folder.npz": (lambda file: file.mkdir(), r"is a folder; dataset=folder reads folders of images"),
    "cut.npz": (
        lambda file: (np.savez(file, train_images=IMAGES), file.write_bytes(file.read_bytes()[:-300])),
        r"can't be read as an \.npz file \(.*zip.*\); give an \.npz file with",
    ),
    "flipped.npz": (
        lambda file: (
            np.savez(file, train_images=IMAGES),
            file.write_bytes(file.read_bytes()[:900] + b"?" + file.read_bytes()[901:]),
        ),
        r"train_images can't be read \(.*CRC.*\); the file was changed or cut off after it was written: write it again",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_kind_is_told_what_is_wanted(tmp_path, load, name):
    make, message = FILES[name]
    make(tmp_path / name)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Exception, match=message) as caught:
        load("npz", tmp_path / "unused", f"path={tmp_path / name}")
    assert isinstance(caught.value.__cause__, UsageError)
    assert not re.search("damaged|delete|pickle", str(caught.value))
    assert sorted(tmp_path.iterdir()) == before


def test_validation_images_of_the_file_s_own_are_the_validation_set(tmp_path, load):
    more = np.full((6, 5, 4, 3), 7, np.uint8)
    path = save(tmp_path, val_images=more, val_labels=np.arange(6) % 4)[0]
    data = load("npz", tmp_path, path)
    assert data.val.tolist() == [*range(40, 46)]  # after train and test, whose ids stay
    assert (data.train.tolist(), data.test.tolist()) == ([*range(30)], [*range(30, 40)])
    assert bool((data.images[data.val] == 7).all())
    assert data.labels[data.val].tolist() == [0, 1, 2, 3, 0, 1]
    merged = load("npz", tmp_path, path, "split.val=10")
    assert (len(merged.train), len(merged.val), len(merged.test)) == (26, 10, 10)
    assert merged.train.max() >= 40
    drawn = load("npz", tmp_path, path, "split.test=20")
    assert (len(drawn.train), drawn.val.tolist(), len(drawn.test)) == (20, [*range(40, 46)], 20)
    assert drawn.test.max() < 40


def test_an_empty_test_set_may_have_any_shape(tmp_path, load):
    nothing = {"test_images": np.zeros(0, np.uint8), "test_labels": np.zeros(0)}
    data = load("npz", tmp_path, save(tmp_path, **nothing)[0])
    assert (len(data.train), len(data.val), len(data.test)) == (22, 2, 6)


def test_arrays_that_nothing_reads_are_named(tmp_path, load, caplog):
    load("npz", tmp_path, save(tmp_path, extra_images=IMAGES, boxes=LABELS)[0])
    assert caplog.messages == [f"{tmp_path / 'mine.npz'}: nothing reads boxes, extra_images"]
    caplog.clear()
    load("npz", tmp_path, save(tmp_path)[0])
    assert caplog.messages == []


def test_a_test_set_of_another_name_is_not_passed_over(tmp_path, load):
    arrays = {"train_images": IMAGES, "train_labels": LABELS, "x_test": IMAGES, "y_test": LABELS}
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(
        InstantiationException,
        match=r"has no test_images and test_labels, but x_test, y_test, which nothing reads; rename",
    ):
        load("npz", tmp_path, f"path={tmp_path / 'mine.npz'}")


def test_names_of_files_may_stand_beside_the_images_one_for_each(tmp_path, load):
    names = [f"photo {number}.jpg" for number in range(40)]
    assert list(load("npz", tmp_path, save(tmp_path, files=np.array(names))[0]).files) == names
    with pytest.raises(InstantiationException, match=r"files has shape \[39\], but there are 40 images"):
        load("npz", tmp_path, save(tmp_path, files=np.array(names[1:]))[0])


def test_a_blank_label_is_a_missing_one(tmp_path, load):
    words = np.array(["cat", " ", "dog"])[np.arange(30) % 3]
    np.savez(tmp_path / "mine.npz", train_images=np.zeros((30, 4, 4), np.uint8), train_labels=words)
    with pytest.raises(Exception, match="10 of train_labels are blank, the first in row 1; leave"):
        load("npz", tmp_path, f"path={tmp_path / 'mine.npz'}")
