import numpy as np
import pytest
import torch

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
        ({"train_images": np.zeros((30, 20), np.uint8)}, r"uint8 \[N, H, W\(, C\)\] is wanted"),
        ({"train_images": np.zeros((30, 3, 32, 32), np.uint8)}, r"channels first; transpose it to \[N, H, W, C\]"),
        ({"train_labels": np.zeros(29, np.int64)}, r"train_labels is int64 \(29,\); 30 integers are wanted"),
        ({"train_labels": np.zeros(30)}, "train_labels is float64"),
        ({"train_labels": np.full(30, -1)}, r"labels are -1 \.\. 3; 0 \.\. 3 is wanted"),
        ({"classes": np.array(["a", "b", "c"])}, r"labels are 0 \.\. 3; 0 \.\. 2 is wanted, one for each class"),
        ({"test_images": np.zeros((10, 4, 4, 3), np.uint8)}, "train and test images differ in size"),
        ({"train_images": np.zeros((0, 5, 4, 3), np.uint8), "train_labels": np.zeros(0, int)}, "train_images is empty"),
        ({"train_labels": np.array([None] * 30)}, "is damaged or no .npz file .*allow_pickle=False"),
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
