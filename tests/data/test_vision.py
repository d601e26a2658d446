import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from dataset_files import dataset_settings

from al_runner.data import vision
from al_runner.data.vision import PACKAGED
from al_runner.system.torchvision import torchvision_datasets

# Loads data sets of a list of settings into a data_root, in a process of its own.
LOAD = """
import json, sys
from hydra.utils import instantiate
from al_runner.errors import UsageError
for settings in json.loads(sys.argv[1]):
    try:
        print(len(instantiate(settings, data_root=sys.argv[2]).images))
    except Exception as error:
        assert isinstance(error.__cause__, UsageError), error
        print(error.__cause__)
print(*sorted({"torchvision", "pandas", "sklearn"} & set(sys.modules)))
"""
NAMES = ("mnist", "usps", "cifar10", "cifar100", "svhn", "fashion_mnist")
NO_NETWORK = {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https")}


def settings(*names):
    return json.dumps([dataset_settings(name) for name in names])


def sizes(data):
    parts = (data.train, data.val, data.test)
    assert torch.equal(torch.cat(parts).unique(), torch.arange(len(data.images)))
    assert sum(len(part) for part in parts) == len(data.images)
    return tuple(len(part) for part in parts)


def test_usps_is_merged_and_its_pixels_are_torchvisions(raw_root, load):
    data = load("usps", raw_root)
    assert sizes(data) == (4185, 464, 4649)
    assert data.image_shape == (1, 16, 16)
    assert data.classes == tuple("0123456789")
    parts = [torchvision_datasets().USPS(root=str(raw_root), train=train) for train in (True, False)]
    assert np.array_equal(data.images[:7291, 0].numpy(), parts[0].data)
    assert np.array_equal(data.images[7291:, 0].numpy(), parts[1].data)
    assert data.labels.tolist() == [*parts[0].targets, *parts[1].targets]
    assert torch.equal(load("usps", raw_root).train, data.train)
    other = load("usps", raw_root, "split.seed=1")
    assert sizes(other) == (4185, 464, 4649)
    assert not torch.equal(other.test, data.test)
    assert torch.equal(other.images, data.images)


def test_mnist_keeps_its_test_images_and_is_loaded_without_torchvision(raw_root, load, python):
    data = load("mnist", raw_root)
    assert sizes(data) == (50_000, 10_000, 10_000)
    assert data.test.tolist() == list(range(60_000, 70_000))
    assert data.images.is_contiguous(memory_format=torch.channels_last)
    idx = (raw_root / "MNIST" / "raw" / "t10k-images-idx3-ubyte").read_bytes()
    assert data.images[60_000:].numpy().tobytes() == idx[16:]
    labels = (raw_root / "MNIST" / "raw" / "train-labels-idx1-ubyte").read_bytes()
    assert bytes(data.labels[:60_000].tolist()) == labels[8:]
    (raw_root / "MNIST").unlink()
    assert python(LOAD, settings("mnist"), raw_root).communicate() == ("70000\n\n", "")


def test_fashion_mnist_is_read_from_an_operating_system_s_package_without_a_network(tmp_path, load, python):
    folder = PACKAGED["FashionMNIST"]
    if not folder.exists():
        pytest.skip(f"no {folder}: install the package dataset-fashion-mnist")
    root = tmp_path / "data_root"
    root.mkdir()
    assert python(LOAD, settings("fashion_mnist"), root, **NO_NETWORK).communicate()[0].splitlines()[0] == "70000"
    unpacked = {file.name for file in (root / "FashionMNIST" / "raw").iterdir()}
    assert unpacked == {file.stem for file in folder.iterdir()}
    data = load("fashion_mnist", root)
    assert sizes(data) == (50_000, 10_000, 10_000)
    assert data.classes[0] == "T-shirt/top"
    assert data.labels[:60_000].bincount().tolist() == [6000] * 10
    assert data.labels[60_000:].bincount().tolist() == [1000] * 10
    idx = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    assert data.images[60_000:].numpy().tobytes() == idx[16:]
    labels = gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes())
    assert bytes(data.labels[:60_000].tolist()) == labels[8:]


def test_files_that_are_there_come_before_those_of_a_package(tmp_path, monkeypatch):
    package, raw = tmp_path / "package", tmp_path / "root" / "FashionMNIST" / "raw"
    package.mkdir()
    (package / "labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"theirs"))
    monkeypatch.setattr(vision, "PACKAGED", {"FashionMNIST": package})
    vision._unpack_packaged(tmp_path / "root", "MNIST")
    assert not (tmp_path / "root").exists()
    raw.mkdir(parents=True)  # as a download that failed leaves it
    vision._unpack_packaged(tmp_path / "root", "FashionMNIST")
    assert {file.name: file.read_bytes() for file in raw.iterdir()} == {"labels-idx1-ubyte": b"theirs"}
    (package / "more-idx1-ubyte.gz").write_bytes(gzip.compress(b"theirs"))
    vision._unpack_packaged(tmp_path / "root", "FashionMNIST")
    assert [file.name for file in raw.iterdir()] == ["labels-idx1-ubyte"]
    assert not raw.with_name("raw.partial").exists()


@pytest.mark.parametrize(
    ("name", "train", "test", "expected"),
    [
        ("cifar10", 50_000, 10_000, (45_000, 5_000, 10_000)),
        ("cifar100", 50_000, 10_000, (45_000, 5_000, 10_000)),
        ("svhn", 73_257, 26_032, (68_257, 5_000, 26_032)),
        ("fashion_mnist", 60_000, 10_000, (50_000, 10_000, 10_000)),
    ],
)
def test_split_sizes_on_a_file_of_the_real_length_placed_by_hand(tmp_path, load, name, train, test, expected):
    lengths = {"train": train, "test": test}
    arrays = {f"{part}_images": np.zeros((length, 1, 1, 3), np.uint8) for part, length in lengths.items()}
    arrays |= {f"{part}_labels": np.arange(length) % 10 for part, length in lengths.items()}
    np.savez(tmp_path / f"{name}.npz", **arrays)
    assert sizes(load(name, tmp_path)) == expected


def test_a_failed_download_is_one_line_with_its_remedy(tmp_path, python):
    here = {"fashion_mnist"} if PACKAGED["FashionMNIST"].exists() else set()  # nothing of it is downloaded then
    names = [name for name in NAMES if name not in here]
    lines = python(LOAD, settings(*names), tmp_path, **NO_NETWORK).communicate()[0].splitlines()
    assert len(lines) == len(names) + 1
    for name, line in zip(names, lines, strict=False):
        assert line.startswith(f"{name} could not be downloaded (")
        assert "Connection refused" in line
        assert line.endswith(f"or put the data set's original files, or {name}.npz, into {tmp_path}")
    assert not list(tmp_path.glob("*.npz*"))


@pytest.mark.parametrize("content", [b"", b"junk", None])
def test_damaged_original_files_are_named(raw_root, load, content):
    file = raw_root / "usps.bz2"
    truncated = file.read_bytes()[:100_000]
    file.unlink()
    file.write_bytes(truncated if content is None else content)
    with pytest.raises(Exception, match=re.escape(f"usps: its original files below {raw_root} can't be read")):
        load("usps", raw_root)
    assert not list(raw_root.glob("*.npz*"))


def test_a_class_that_torchvision_lacks_is_refused(tmp_path, load):
    with pytest.raises(Exception, match=r"dataset\.dataset=MNISTT is no class of torchvision\.datasets"):
        load("mnist", tmp_path, "dataset=MNISTT")


@pytest.mark.parametrize(
    "body",
    [
        "raise RuntimeError('operator torchvision::nms does not exist')",  # whatever is declared
        "raise RuntimeError('torch and torchvision\\nhave different major CUDA versions')",
        "raise ImportError('no compiled library')",
    ],
)
def test_a_torchvision_that_can_not_be_imported_is_one_line_with_its_remedy(tmp_path, python, body):
    package = tmp_path / "path" / "torchvision"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(body)
    message, _ = python(LOAD, settings("mnist"), tmp_path, PYTHONPATH=str(package.parent)).communicate()[0].splitlines()
    assert message.startswith("torchvision can't be imported (")
    assert "pip install torchvision --index-url" in message


def test_importing_every_module_of_data_brings_no_source_along(python):
    modules = [path.stem for path in (Path(__file__).parents[2] / "al_runner" / "data").glob("[a-z]*.py")]
    program = (
        f"import sys{''.join(f', al_runner.data.{module}' for module in modules)}\n"
        "print(*{'torchvision', 'pandas', 'sklearn'} & set(sys.modules))"
    )
    assert len(modules) > 5
    assert python(program).communicate() == ("\n", "")


LETTERS = ("train.split=letters", "test.split=letters")


def test_a_class_that_torchvision_names_and_no_image_has_is_left_out(tmp_path, load):
    """EMNIST's letters are labelled 1 .. 26, and class 0 is called N/A."""
    raw = tmp_path / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (52, 28, 28)).astype(np.uint8)
    for part in ("train", "test"):
        start = f"emnist-letters-{part}"
        sizes = np.array([2051, 52, 28, 28], ">i4").tobytes()
        (raw / f"{start}-images-idx3-ubyte").write_bytes(sizes + images.tobytes())
        labels = (np.arange(52) % 26 + 1).astype(np.uint8)
        (raw / f"{start}-labels-idx1-ubyte").write_bytes(np.array([2049, 52], ">i4").tobytes() + labels.tobytes())
    data = load("mnist", tmp_path, "name=letters", "dataset=EMNIST", *LETTERS, "split.val=10")
    assert data.classes == tuple("abcdefghijklmnopqrstuvwxyz")
    assert data.labels.tolist() == [*range(26)] * 4
    assert np.array_equal(data.images[:52, 0].numpy(), images)
