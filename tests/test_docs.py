"""The examples in docs/ give what they show, its links lead somewhere, and its picture of the house is true."""

import doctest
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parents[1]
DOCS = sorted(page for page in (REPOSITORY / "docs").glob("*.md") if ">>>" in page.read_text())
TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
PAGES = [REPOSITORY / name for name in TOP] + [
    page for folder in ("docs", "outputs/reproduced") for page in sorted((REPOSITORY / folder).rglob("*.md"))
]


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_the_examples_give_what_they_show(page: Path) -> None:
    result = doctest.testfile(str(page), module_relative=False)
    assert result.failed == 0
    assert result.attempted > 0


def test_there_is_a_page_for_library_use() -> None:
    assert "library.md" in {page.name for page in DOCS}


def links(page: Path) -> list[Path]:
    """The files that a page links to or shows, as paths of the repository."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    return [(page.parent / target).resolve() for target in targets if not re.match(r"[a-z]+:", target)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    assert [target for target in links(page) if not target.exists()] == []


def test_every_page_and_picture_is_reached_from_the_first() -> None:
    """Also without the site: by nothing but links. Tables that commands wrote lie beside a README that has its own."""
    reached, left = set[Path](), [REPOSITORY / "README.md"]
    while left:
        page = left.pop()
        if page not in reached:
            reached.add(page)
            left += links(page) if page.suffix == ".md" else []
    pictures = {*(REPOSITORY / "docs" / "pictures").iterdir()}
    lost = {page for page in {*PAGES, *pictures} - reached if page.name not in ("compare.md", "table1.md")}
    assert lost == set()


def test_the_pictures_are_small() -> None:
    assert sum(picture.stat().st_size for picture in (REPOSITORY / "docs" / "pictures").iterdir()) < 600_000


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))
    return import_module("house")


def test_the_picture_of_the_house_is_drawn_from_today_s_imports(house: ModuleType) -> None:
    assert house.PICTURE.read_text() == house.house(), "draw it anew with python scripts/house.py"
    storeys = house.floors(house.imports())
    height = {room: floor for floor, rooms in enumerate(storeys) for room in rooms}
    assert all(height[other] < height[room] for room, others in house.imports().items() for other in others)
    assert (storeys[-1], len(height)) == (
        ["main"],
        len({house.room_of(file) for file in house.PACKAGE.rglob("*.py")}) - 1,
    )


def test_the_picture_keeps_only_imports_without_a_way_round(house: ModuleType) -> None:
    rooms = {"a": frozenset("bc"), "b": frozenset("c"), "c": frozenset()}
    assert house.direct(rooms) == {"a": {"b"}, "b": {"c"}, "c": set()}
    assert house.floors(rooms) == [["c"], ["b"], ["a"]]
