import numpy as np
import torch
from sklearn.datasets import load_digits


def test_digits_are_those_of_scikit_learn_and_need_no_folder(tmp_path, load):
    (tmp_path / "file").touch()
    data = load("digits", tmp_path / "file" / "no_folder")
    bunch = load_digits()
    assert np.array_equal((data.images[:, 0].numpy() * (16 / 255)).round(), bunch.images)
    assert data.images.max() == 255
    assert data.images.shape == (1797, 1, 8, 8)
    assert data.labels.tolist() == bunch.target.tolist()
    assert data.classes == tuple("0123456789")
    assert (len(data.train), len(data.val), len(data.test)) == (1097, 200, 500)
    assert torch.equal(torch.cat([data.train, data.val, data.test]).sort().values, torch.arange(1797))
