import numpy as np
import pandas as pd
import pytest
import torch

from al_runner.data.embeddings import as_arrays, of_table
from al_runner.data.spoil import outliers, repeated
from al_runner.errors import UsageError
from al_runner.models.inputs import channel_statistics

X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32) * np.arange(1, 7, dtype=np.float32) + np.float32(
    100
)
WORDS = np.array(["cat", "dog", "owl", "ape"])[np.arange(40) % 4]


def saved(folder, **arrays):
    np.savez(folder / "mine.npz", **arrays)
    return f"path={folder / 'mine.npz'}"


def refused(load, folder, message, *overrides):
    with pytest.raises(Exception, match=message) as caught:
        load("embeddings", folder, *overrides)
    assert isinstance(caught.value.__cause__, UsageError)  # Hydra wraps what its targets raise


def test_vectors_are_images_of_one_pixel_and_a_fifth_is_held_out(tmp_path, load):
    data = load("embeddings", tmp_path, saved(tmp_path, embeddings=X, labels=WORDS))
    assert data.image_shape == (6, 1, 1)
    assert np.array_equal(data.images[:, :, 0, 0].numpy(), X)
    assert data.classes == ("ape", "cat", "dog", "owl")
    assert [data.classes[label] for label in data.labels] == WORDS.tolist()
    assert (len(data.train), len(data.val), len(data.test)) == (29, 3, 8)
    again = load("embeddings", tmp_path, f"path={tmp_path / 'mine.npz'}", "split.seed=1")
    assert data.test.tolist() != again.test.tolist()
    mean, std = channel_statistics(data)
    assert np.allclose(mean, X[data.train].mean(0), rtol=1e-5)
    assert np.allclose(std, X[data.train].std(0), rtol=1e-3)


def test_a_file_s_own_parts_are_kept(tmp_path, load):
    parts = {"train_x": X[:20], "test_x": X[20:32].astype(np.float64), "val_x": X[32:]}
    labels = {"train_y": WORDS[:20], "test_y": WORDS[20:32], "val_y": WORDS[32:]}
    data = load("embeddings", tmp_path, saved(tmp_path, **parts, **labels), "inputs=x", "targets=y")
    assert (data.train.tolist(), data.test.tolist()) == ([*range(20)], [*range(20, 32)])
    assert data.val.tolist() == [*range(32, 40)]
    assert np.array_equal(data.images[:, :, 0, 0].numpy(), X)


def test_one_part_stays_on_the_disk(tmp_path, load):
    """Its numbers are those of the file: what is written into the file afterwards is there."""
    path = saved(tmp_path, embeddings=X.astype(np.float16), labels=np.arange(40) % 4)
    data = load("embeddings", tmp_path, path)
    assert data.images.dtype == torch.float16
    file = tmp_path / "mine.npz"
    stored = file.read_bytes()
    place = stored.index(X.astype(np.float16).tobytes())
    with file.open("r+b") as written:
        written.seek(place)
        written.write(np.float16(7).tobytes())
    assert data.images[0, 0, 0, 0] == 7
    np.savez_compressed(file, embeddings=X, labels=np.arange(40) % 4)
    assert np.array_equal(load("embeddings", tmp_path, path).images[:, :, 0, 0].numpy(), X)


def test_a_npy_file_has_its_labels_in_another(tmp_path, load):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", WORDS)
    (tmp_path / "y.txt").write_text("\n".join(WORDS) + "\n")
    (tmp_path / "numbers.txt").write_text("\n".join(str(row % 4) for row in range(40)))
    for labels, names in (("y.npy", ("ape", "cat", "dog", "owl")), ("y.txt", ("ape", "cat", "dog", "owl"))):
        data = load("embeddings", tmp_path, f"path={tmp_path / 'x.npy'}", f"labels={tmp_path / labels}")
        assert data.classes == names
    data = load("embeddings", tmp_path, f"path={tmp_path / 'x.npy'}", f"labels={tmp_path / 'numbers.txt'}")
    assert data.labels.tolist() == [row % 4 for row in range(40)]
    refused(load, tmp_path, r"dataset\.labels=FILE", f"path={tmp_path / 'x.npy'}")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"vectors": X, "labels": WORDS}, r"no array train_embeddings.*it has labels, vectors.*dataset\.inputs="),
        ({"embeddings": X}, "no array labels"),
        (
            {"embeddings": X, "labels": WORDS, "test_embeddings": X, "test_labels": WORDS},
            "also test_embeddings, test_labels, which would not be read; call the training vectors train_embeddings",
        ),
        ({"train_embeddings": X, "train_labels": WORDS, "test_embeddings": X}, "no array test_labels"),
        ({"embeddings": X[:, :, None], "labels": WORDS}, r"\(40, 6, 1\); they must be \[N, D\]"),
        ({"embeddings": X[:0], "labels": WORDS[:0]}, "no training vectors"),
        ({"embeddings": WORDS[:, None], "labels": WORDS}, "they must be numbers"),
        ({"embeddings": np.where(np.arange(40)[:, None] == 9, np.nan, X), "labels": WORDS}, "infinite value in row 9"),
        ({"embeddings": np.full((40, 2), 1e300), "labels": WORDS}, "infinite value in row 0"),
        ({"embeddings": X, "labels": WORDS[:-1]}, "it must be 40 integers"),
        ({"embeddings": X, "labels": WORDS.astype(object)}, "holds Python objects"),
        ({"embeddings": X, "labels": np.arange(40) % 4 + 1}, r"dataset\.relabel=true"),
        (
            {"train_embeddings": X, "train_labels": WORDS, "test_embeddings": X[:, :3], "test_labels": WORDS},
            "6 numbers in train, 3 numbers in test; give all vectors the same length",
        ),
    ],
)
def test_other_forms_are_refused(tmp_path, load, arrays, message):
    np.savez(tmp_path / "mine.npz", **arrays)
    refused(load, tmp_path, message, f"path={tmp_path / 'mine.npz'}")


def test_files_that_can_t_be_read_are_refused(tmp_path, load):
    refused(load, tmp_path, r"needs dataset\.path=FILE")
    refused(load, tmp_path, r"does not exist; name the file", f"path={tmp_path / 'gone.npz'}")
    (tmp_path / "bad.npy").write_bytes(b"no array")
    refused(load, tmp_path, "write it with numpy.save", f"path={tmp_path / 'bad.npy'}", f"labels={tmp_path / 'y.txt'}")
    np.save(tmp_path / "x.npy", X)
    refused(load, tmp_path, r"y\.txt can't be read", f"path={tmp_path / 'x.npy'}", f"labels={tmp_path / 'y.txt'}")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "y.txt",
            "label\n" + "\n".join(WORDS),
            "holds 41 labels, but .* 40 vectors; .* without a line of titles",
        ),
        ("y.txt", "\n".join([*WORDS[:9], "", *WORDS[10:]]), "1 of train_labels are blank, the first in row 9"),
        (
            "y.csv",
            "\n".join(f"{i},{word}" for i, word in enumerate(WORDS)),
            r"y\.csv has several columns; keep",
        ),
    ],
)
def test_a_file_of_labels_is_read_line_for_line(tmp_path, load, name, text, message):
    np.save(tmp_path / "x.npy", X)
    (tmp_path / name).write_text(text)
    refused(load, tmp_path, message, f"path={tmp_path / 'x.npy'}", f"labels={tmp_path / name}")


def test_excel_s_mark_before_the_first_label_is_no_part_of_it(tmp_path, load):
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "y.txt").write_text("\ufeff" + "\r\n".join(WORDS) + "\r\n\r\n", encoding="utf-8")
    data = load("embeddings", tmp_path, f"path={tmp_path / 'x.npy'}", f"labels={tmp_path / 'y.txt'}")
    assert data.classes == tuple(sorted({*WORDS.tolist()}))


def test_parquet_without_its_reader_is_one_line(tmp_path, load, monkeypatch):
    def missing(file):
        raise ImportError

    monkeypatch.setattr(pd, "read_parquet", missing)
    refused(load, tmp_path, "pip install pyarrow, or save an .npz file", f"path={tmp_path / 'x.parquet'}")


def test_a_table_has_a_column_of_vectors_or_a_column_a_number():
    wide = pd.DataFrame(X, columns=[*"abcdef"]).assign(labels=WORDS, note="no number")
    long = pd.DataFrame({"embeddings": [*X], "labels": WORDS, "a": 1.0})
    for table in (wide, long):
        arrays = as_arrays("t", of_table("t", table, "embeddings", "labels"))
        assert np.array_equal(arrays.train_images[:, 0, 0], X)
        assert arrays.classes[arrays.train_labels].tolist() == WORDS.tolist()
    with pytest.raises(UsageError, match=r"no column y; .*dataset\.targets="):
        of_table("t", wide, "embeddings", "y")
    with pytest.raises(UsageError, match="no vectors of one length"):
        of_table("t", pd.DataFrame({"embeddings": [[1.0], [1.0, 2.0]], "labels": [0, 1]}), "embeddings", "labels")


def test_spoilt_pools_of_vectors(tmp_path, load):
    data = load("embeddings", tmp_path, saved(tmp_path, embeddings=X, labels=WORDS))
    twice = repeated(data, 2, noise=0.01).images[40:, :, 0, 0]
    moved = (twice - data.images[data.train][:, :, 0, 0]).std()
    assert torch.isclose(moved, 0.01 * (X[data.train].max() - X[data.train].min()) * torch.tensor(1.0), rtol=0.2)
    shuffled = outliers(data, 0.5).images[:, :, 0, 0]
    changed = (shuffled != data.images[:, :, 0, 0]).any(1).nonzero()[:, 0]
    assert set(changed.tolist()) <= set(data.train.tolist())
    assert 12 <= len(changed) <= 14
    assert torch.equal(shuffled.sort(1).values, data.images[:, :, 0, 0].sort(1).values)


def test_images_of_any_numbers_by_a_named_option(tmp_path, load):
    images = np.random.default_rng(1).normal(size=(40, 5, 4, 7))
    np.savez(tmp_path / "mine.npz", train_images=images, train_labels=np.arange(40) % 4)
    path = f"path={tmp_path / 'mine.npz'}"
    with pytest.raises(Exception, match=r"dataset\.values=float keeps them as they are"):
        load("npz", tmp_path, path)
    last = load("npz", tmp_path, path, "values=float", "channels=last")
    assert last.images.dtype == torch.float32
    assert np.array_equal(last.images.permute(0, 2, 3, 1).numpy(), images.astype(np.float32))
    first = load("npz", tmp_path, path, "values=float", "channels=first")
    assert np.array_equal(first.images.numpy(), images.astype(np.float32))
    assert (len(last.train), len(last.val), len(last.test)) == (29, 3, 8)
    with pytest.raises(Exception, match="its channels may be first or last"):
        load("npz", tmp_path, path, "values=float")
    images[3, 0, 0, 0] = np.inf
    np.savez(tmp_path / "mine.npz", train_images=images, train_labels=np.arange(40) % 4)
    with pytest.raises(Exception, match="train_images has NaN or an infinite value in row 3"):
        load("npz", tmp_path, path, "values=float", "channels=last")
