import numpy as np
import torch
from command import digits8
from fresh import printed
from sklearn.datasets import load_digits

from al_runner.data import bundled


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


def test_digits_of_a_scikit_learn_that_keeps_them_elsewhere_are_the_same(monkeypatch):
    known = bundled.digits().named()
    monkeypatch.setattr(bundled, "DIGITS", "nowhere.csv.gz")
    asked = bundled.digits().named()
    assert all(np.array_equal(known[name], asked[name]) for name in known)


def test_a_run_on_them_and_its_picture_import_no_package_that_takes_a_second(tmp_path):
    program = """
import contextlib, sys
from al_runner.main import main

sys.argv[0] = "al-run"
with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(SystemExit):
    main()
print(json.dumps([name for name in ("sklearn", "scipy.stats", "torchvision") if name in sys.modules]))
"""
    assert printed(program, *digits8(tmp_path, "strategy=margin")) == []
    assert len([*tmp_path.glob("*/*/margin/seed0/curve.png")]) == 1
