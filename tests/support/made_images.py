"""Image files of every kind that a user may bring, made here."""

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RNG = np.random.default_rng(0)


def noise(height: int = 6, width: int = 4, colour: bool = False) -> NDArray[np.uint8]:
    return RNG.integers(0, 256, (height, width, 3) if colour else (height, width)).astype(np.uint8)


def save(file: Path, pixels: NDArray[np.uint8] | None = None) -> Path:
    """The pixels, or random grey ones, in a folder that is made where it is missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise() if pixels is None else pixels).save(file)
    return file


def classes(root: Path, names: Iterable[str] = "ab", each: int = 10) -> Path:
    """A folder of so many grey images a class."""
    for name in names:
        for number in range(each):
            save(root / name / f"{number:02}.png")
    return root


def png(file: Path, samples: NDArray[np.integer], colour_type: int, bits: int) -> Path:
    """A PNG of [H, W] or [H, W, channels] samples; type 0 is grey, 2 colour, 4 grey and alpha, 6 colour and alpha."""
    values = samples.astype(">u2" if bits == 16 else np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], bits, colour_type, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    return file


def tiff(file: Path, samples: NDArray[np.integer], bits: int) -> Path:
    """An uncompressed TIFF of [H, W, channels] samples, 3 for colour, 4 with alpha."""
    height, width, channels = samples.shape
    data = samples.astype("<u2" if bits == 16 else np.uint8).tobytes()
    after = 8 + len(data)
    extra = struct.pack(f"<{channels}H", *[bits] * channels)
    tags = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, channels, after), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, 8), (277, 3, 1, channels), (278, 3, 1, height), (279, 4, 1, len(data)),
    ]  # fmt: skip
    if channels == 4:
        tags.append((338, 3, 1, 2))  # the last sample is alpha, not multiplied into the others
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    file.write_bytes(b"II*\0" + struct.pack("<I", after + len(extra)) + data + extra + directory)
    return file


def ppm(file: Path, samples: NDArray[np.integer], most: int, plain: bool = False) -> Path:
    """A PPM or PGM of values up to `most`, as bytes or as words."""
    kind = (3 if samples.ndim == 3 else 2) if plain else (6 if samples.ndim == 3 else 5)
    header = f"P{kind}\n{samples.shape[1]} {samples.shape[0]}\n{most}\n".encode()
    body = " ".join(map(str, samples.flatten())).encode() if plain else samples.astype(">u2" if most > 255 else "u1")
    file.write_bytes(header + (body if isinstance(body, bytes) else body.tobytes()))
    return file
