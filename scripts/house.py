"""Draws docs/pictures/house.svg: the rooms of the package, floor by floor, from its own import statements.

`python scripts/house.py` writes the picture anew; tests/test_docs.py fails if it is out of date.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from textwrap import wrap

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "al_runner"
PICTURE = REPOSITORY / "docs" / "pictures" / "house.svg"

WIDTH, MARGIN, ROOM, GAP, HEIGHT, FLOOR = 1080, 12, 166, 12, 78, 108  # pixels; FLOOR: from one floor to the next
LETTERS, LINES = 26, 4  # of what a room says of itself

Imports = Mapping[str, frozenset[str]]  # the rooms that a room imports


def room_of(file: Path) -> str:
    """The folder or the single module below the package that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports() -> Imports:
    """What every room imports of the package, other than itself."""
    rooms: dict[str, set[str]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.parent == PACKAGE and file.name == "__init__.py":
            continue
        names = [
            name
            for node in ast.walk(ast.parse(file.read_text()))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        ]
        others = {name.split(".")[1] for name in names if name.startswith("al_runner.")}
        rooms.setdefault(room_of(file), set()).update(others - {room_of(file)})
    return {room: frozenset(others) for room, others in rooms.items()}


def floors(rooms: Imports) -> list[list[str]]:
    """The rooms by height, the lowest floor first: a room is one floor above the highest room that it imports."""

    @cache
    def height(room: str) -> int:
        return 1 + max((height(other) for other in rooms[room]), default=-1)

    heights = {room: height(room) for room in sorted(rooms)}
    return [[room for room in heights if heights[room] == floor] for floor in range(max(heights.values()) + 1)]


def direct(rooms: Imports) -> Imports:
    """The imports without those that also lead through a third room."""

    @cache
    def below(room: str) -> frozenset[str]:
        return rooms[room].union(*map(below, rooms[room]))

    return {
        room: frozenset(other for other in others if not any(other in below(third) for third in others))
        for room, others in rooms.items()
    }


def purpose(room: str) -> str:
    """The first sentence of the room's docstring."""
    single = PACKAGE / f"{room}.py"
    file = single if single.exists() else PACKAGE / room / "__init__.py"
    text = ast.get_docstring(ast.parse(file.read_text())) if file.exists() else None
    return re.split(r"\.\s", text or "Launchers and resolvers of Hydra")[0].rstrip(".").replace("`", "")


def places(storeys: Sequence[Sequence[str]]) -> dict[str, tuple[float, float]]:
    """The upper left corner of every room; each floor is centred, the lowest is at the bottom."""
    corners: dict[str, tuple[float, float]] = {}
    for floor, rooms in enumerate(reversed(storeys)):
        left = (WIDTH - len(rooms) * (ROOM + GAP) + GAP) / 2
        for place, room in enumerate(rooms):
            corners[room] = (left + place * (ROOM + GAP), MARGIN + floor * FLOOR)
    return corners


def box(room: str, left: float, top: float) -> str:
    """A room: its name, and below it what it is for."""
    lines = wrap(purpose(room), LETTERS, max_lines=LINES, placeholder=" ...")
    middle = left + ROOM / 2
    said = "".join(
        f'<text x="{middle:g}" y="{top + 31 + 13 * number:g}" class="s">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    name = f'<text x="{middle:g}" y="{top + 16:g}" class="n">{room}</text>'
    return f'<rect x="{left:g}" y="{top:g}" width="{ROOM}" height="{HEIGHT}" rx="6"/>{name}{said}'


def line(upper: tuple[float, float], lower: tuple[float, float]) -> str:
    """A line from the bottom of a room to the top of a room below it."""
    (x, y), (to_x, to_y) = (upper[0] + ROOM / 2, upper[1] + HEIGHT), (lower[0] + ROOM / 2, lower[1])
    bend = (FLOOR - HEIGHT) * 0.9
    return f'<path d="M{x:g} {y:g}C{x:g} {y + bend:g} {to_x:g} {to_y - bend:g} {to_x:g} {to_y:g}"/>'


def house() -> str:
    """The picture as SVG."""
    rooms = imports()
    storeys = floors(rooms)
    corners = places(storeys)
    lines = [
        line(corners[room], corners[other])
        for room, others in sorted(direct(rooms).items())
        for other in sorted(others)
    ]
    boxes = [box(room, *corner) for room, corner in corners.items()]
    height = 2 * MARGIN + FLOOR * len(storeys) - (FLOOR - HEIGHT)
    style = (
        "text{font:11px sans-serif;text-anchor:middle;fill:#333}.n{font:bold 13px sans-serif;fill:#111}"
        "rect{fill:#eef3fa;stroke:#4a6fa5}path{fill:none;stroke:#9aa7b8;stroke-width:1.2}"
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    background = f'<rect width="{WIDTH}" height="{height}" style="fill:#fff;stroke:none"/>'
    return "\n".join([head, f"<style>{style}</style>", background, *lines, *boxes, "</svg>"]) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(house())
