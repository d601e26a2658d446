"""Features are extracted once; whatever happens to the file, a run has the features of its own images."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import Counted, photographs

from al_runner.errors import UsageError
from al_runner.features.base import digest

CPU = torch.device("cpu")
DATA = photographs()
DIRECT = 2 * DATA.images[:, 0].float().mean(2)


def files(folder):
    return sorted(path.name for path in (folder / "features").iterdir() if not path.name.endswith(".lock"))


def test_the_features_are_those_of_a_direct_forward_pass(tmp_path, counted):
    inputs = counted().apply(DATA, tmp_path, CPU)
    assert inputs.image_shape == (9, 1, 1)
    assert torch.equal(inputs.images[:, :, 0, 0], DIRECT)
    assert (inputs.features, inputs.train.tolist()) == (None, DATA.train.tolist())
    beside = counted(use="beside").apply(DATA, tmp_path, CPU)
    assert beside.images is DATA.images
    assert torch.equal(beside.features, DIRECT)
    assert beside.source["name"] == "x.npz" and beside.source["features"] == f"features/{files(tmp_path)[1]}"


def test_a_second_run_does_no_forward_pass(tmp_path, counted):
    counted().apply(DATA, tmp_path, CPU)
    assert counted.passes == [4] * 7 + [2]
    counted.passes.clear()
    for use in ("inputs", "beside"):
        counted(use=use).apply(DATA, tmp_path, CPU)
    counted(batch=7).apply(DATA, tmp_path, CPU)
    assert counted.passes == []
    (name, kept) = files(tmp_path)
    assert json.loads((tmp_path / "features" / name).read_text())["weight"] == 2
    assert np.array_equal(np.load(tmp_path / "features" / kept), DIRECT.numpy())


def test_other_images_or_other_weights_have_a_file_of_their_own(tmp_path, counted):
    counted().apply(DATA, tmp_path, CPU)
    images = DATA.images.clone()
    images[-1, 2, -1, -1] ^= 1
    changed = counted(weight=3.0).apply(replace(DATA, images=images), tmp_path, CPU)
    assert torch.equal(changed.images[:, :, 0, 0], 3 * images[:, 0].float().mean(2))
    counted().apply(replace(DATA, images=images), tmp_path, CPU)
    assert len(files(tmp_path)) == 6
    assert len({digest(x) for x in (DATA.images, images, images[1:], images.float(), images.flatten(1))}) == 5


@pytest.mark.parametrize("tail", ["whole", "torn", "garbage"])
def test_a_killed_extraction_goes_on_after_its_last_sound_batch(tmp_path, counted, monkeypatch, tail):
    monkeypatch.setattr(Counted, "stop_after", 5)
    with pytest.raises(KeyboardInterrupt):
        counted().apply(DATA, tmp_path, CPU)
    (name,) = files(tmp_path)
    assert name.endswith(".partial")
    partial = tmp_path / "features" / name
    stored = partial.read_bytes()
    damaged = {"whole": stored, "torn": stored[:-70], "garbage": stored[:-70] + b"\0" * 70}
    partial.write_bytes(damaged[tail])
    monkeypatch.setattr(Counted, "stop_after", None)
    counted.passes.clear()
    again = counted().apply(DATA, tmp_path, CPU)
    assert torch.equal(again.images[:, :, 0, 0], DIRECT)
    # The first batch, which says that this is the same net, then all after the last sound batch but one.
    assert counted.passes == [4] * (5 if tail == "torn" else 4) + [2]
    assert len(files(tmp_path)) == 2


def test_what_another_net_left_is_not_gone_on_with(tmp_path, counted, monkeypatch):
    monkeypatch.setattr(Counted, "stop_after", 3)
    with pytest.raises(KeyboardInterrupt):
        counted().apply(DATA, tmp_path, CPU)
    partial = tmp_path / "features" / files(tmp_path)[0]
    stored = bytearray(partial.read_bytes())
    stored[-3 * 4 * 9 * 4] ^= 1  # in the first of three batches
    partial.write_bytes(stored)
    monkeypatch.setattr(Counted, "stop_after", None)
    assert torch.equal(counted().apply(DATA, tmp_path, CPU).images[:, :, 0, 0], DIRECT)


@pytest.mark.parametrize("damage", ["bit", "cut", "no facts", "facts"])
def test_a_damaged_file_is_named_and_made_again(tmp_path, counted, caplog, damage):
    counted().apply(DATA, tmp_path, CPU)
    facts, kept = (tmp_path / "features" / name for name in files(tmp_path))
    stored = kept.read_bytes()
    if damage == "bit":
        kept.write_bytes(stored[:-1] + bytes([stored[-1] ^ 1]))
    elif damage == "cut":
        kept.write_bytes(stored[:-5])
    elif damage == "no facts":
        facts.unlink()
    else:
        facts.write_text("[]")
    with caplog.at_level("WARNING"):
        again = counted().apply(DATA, tmp_path, CPU)
    assert f"{kept} is damaged" in caplog.text
    assert torch.equal(again.images[:, :, 0, 0], DIRECT)
    assert kept.read_bytes() == stored


def test_a_net_that_gives_no_finite_vectors_is_refused(tmp_path, counted):
    with pytest.raises(UsageError, match=r"images 0 \.\. 3 is NaN or infinite"):
        counted(weight=float("inf")).apply(DATA, tmp_path, CPU)

    class Flat(Counted):
        def extractor(self, data, device):
            return lambda x: x.float()

    with pytest.raises(UsageError, match=r"float32 \[4, 3, 9, 10\] for 4 images; .* must give floats \[4, D\]"):
        Flat().apply(DATA, tmp_path, CPU)
    assert files(tmp_path) == [name for name in files(tmp_path) if name.endswith(".partial")]


def test_a_folder_that_can_t_be_written_is_one_line(tmp_path, counted):
    (tmp_path / "features").write_text("")
    with pytest.raises(UsageError, match="data_root="):
        counted().apply(DATA, tmp_path, CPU)
