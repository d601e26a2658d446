"""Lists the sub-folders and image files below a folder, without opening a file."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from al_runner.data.images import SUFFIXES
from al_runner.errors import UsageError

# What operating systems put beside pictures: thumbnails, settings, deleted files.
SYSTEMS = ("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found")
SYSTEMS_FILES = ("thumbs.db", "desktop.ini")


@dataclass
class Folder:
    """A folder that is a class or a part, and what lies below it. Hidden files and folders do not count.

    Links are followed. A folder or a file that is reached twice counts once, so a circle of links does no harm.
    """

    path: Path
    above: tuple[str, ...] = ()  # real paths of the folders that it is in: links to these are not followed
    other: list[Path] = field(default_factory=list)  # files whose names say that they are no images

    @cached_property
    def children(self) -> list["Folder"]:
        """Its sub-folders, in the order of their names."""
        above = (*self.above, os.path.realpath(self.path))
        return [Folder(Path(entry.path), above) for entry in _entries(self.path) if os.path.isdir(entry.path)]

    @cached_property
    def loose(self) -> list[Path]:
        """Images that lie in the folder itself, not in a sub-folder."""
        return sorted(
            Path(entry.path) for entry in _entries(self.path) if not os.path.isdir(entry.path) and _is_image(entry)
        )

    @cached_property
    def images(self) -> dict[str, Path]:
        """Real path and path of every image, at any depth, in the order of the paths."""
        real = os.path.realpath(self.path)
        if real in self.above:
            return {}
        files = {place: file for place, file in self._walk(self.path, real, {*self.above, real})}
        return dict(sorted(files.items(), key=lambda item: item[1]))

    def _walk(self, folder: Path, real: str, seen: set[str]) -> Iterator[tuple[str, Path]]:
        """Real path and path of every image; real files and folders come before links."""
        for entry in sorted(_entries(folder), key=lambda entry: (entry.is_symlink(), entry.name)):
            linked = entry.is_symlink() and os.path.exists(entry.path)
            place = os.path.realpath(entry.path) if linked else os.path.join(real, entry.name)
            if os.path.isdir(entry.path):
                if place not in seen:
                    seen.add(place)
                    yield from self._walk(Path(entry.path), place, seen)
            elif not _is_image(entry):
                self.other.append(Path(entry.path))
            elif place not in seen:
                seen.add(place)
                yield place, Path(entry.path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, without hidden and system files. Raises UsageError if the folder can't be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry for entry in entries if not _hidden(entry.name)),
                key=lambda entry: entry.name,
            )
    except OSError as error:
        raise UsageError(f"{folder} can't be read ({error.strerror}); make it readable, or move it away") from error


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in SYSTEMS or name.lower() in SYSTEMS_FILES


def _is_image(entry: os.DirEntry[str]) -> bool:
    """Whether the name is that of an image. A link to nothing counts, too: it may have been a folder of images."""
    suffix = Path(entry.name).suffix.lower()
    return suffix in SUFFIXES or (suffix == "" and entry.is_symlink() and not os.path.exists(entry.path))
