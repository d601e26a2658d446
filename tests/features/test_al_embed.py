"""al-embed writes what dataset=embeddings reads, with the parts that the images have in a run."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from al_runner.api.embed import embed, main
from al_runner.data.embeddings import embeddings
from al_runner.data.folder import folder
from al_runner.data.split import Split
from al_runner.errors import UsageError

RNG = np.random.default_rng(0)


@pytest.fixture
def photos(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = RNG.integers(0, 256, (9, 8, 3)).astype("uint8")
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number:02}.png")
    return tmp_path / "photos"


def test_a_folder_may_have_the_name_of_a_number(tmp_path, photos, monkeypatch):
    photos.rename(tmp_path / "2026")
    monkeypatch.chdir(tmp_path)
    assert len(embed(Path("2026"), Path("out.npz"), ["features=pixels"], data_root=tmp_path, device="cpu").train) == 17


def test_a_folder_becomes_a_file_that_is_read_with_the_same_parts(tmp_path, photos, capsys):
    out, root = tmp_path / "photos.npz", tmp_path / "data"
    assert main([str(photos), str(out), "features=pixels", f"data_root={root}", "device=cpu"]) == 0
    assert f"{out}: 216 features of 17 train, 2 validation, 5 test images" in capsys.readouterr().out
    images = folder(str(root), str(photos), None, None, Split())
    vectors = embeddings("", str(out), Split())
    assert vectors.classes == ("cat", "dog")
    for part in ("train", "val", "test"):
        ours, theirs = getattr(vectors, part), getattr(images, part)
        assert torch.equal(vectors.images[ours][:, :, 0, 0], images.images[theirs].flatten(1).float())
        assert torch.equal(vectors.labels[ours], images.labels[theirs])
    with np.load(out) as held:
        assert held["test_files"].tolist() == [images.files[id_] for id_ in images.test.tolist()]
        assert json.loads(str(held["made"]))["features"].startswith("features/pixels-")


def test_an_npz_file_too(tmp_path):
    x, y = RNG.integers(0, 256, (40, 9, 8)).astype("uint8"), np.arange(40) % 4
    np.savez(tmp_path / "mine.npz", train_images=x[:30], train_labels=y[:30], test_images=x[30:], test_labels=y[30:])
    data = embed(tmp_path / "mine.npz", tmp_path / "out.npz", features="pixels", data_root=str(tmp_path), device="cpu")
    assert np.array_equal(data.images[data.test][:, :, 0, 0], x[30:].reshape(10, -1))
    assert len(embeddings("", str(tmp_path / "out.npz"), Split()).test) == 10


def test_mistakes_are_one_line_and_nothing_is_written(tmp_path, photos, capsys, monkeypatch):
    monkeypatch.setenv("AL_DATA", str(tmp_path / "data"))
    out = tmp_path / "out.npz"
    for words, message in (
        ([photos, out], "choose them with features="),
        ([photos, out, "features=pixels", "features.use=beside"], "leave features.use out"),
        ([photos, out, "features=patchs"], "did you mean features=patches?"),
        ([photos, out, "features=patches", "features.side=20"], "images must be larger than patches"),
        ([tmp_path / "gone.npz", out, "features=pixels"], "does not exist"),
        ([photos, tmp_path / "out.txt", "features=pixels"], "no name of an .npz file"),
        ([photos, out, "--", "-m"], "flag of the command line"),
    ):
        assert main([*map(str, words)]) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("al-embed: ")]
        assert message in line
        assert not out.exists()


def test_a_file_that_is_there_is_kept(tmp_path, photos):
    (tmp_path / "out.npz").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        embed(photos, tmp_path / "out.npz", features="pixels")
    assert (tmp_path / "out.npz").read_text() == "mine"
