"""docs/ as a site: it builds without a warning, loads nothing from a network, and leads to every document."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
LOADS = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
}
LOADED_LINKS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "manifest", "preconnect", "dns-prefetch"}
REMOTE = re.compile(r"\s*(?:[a-z]+:)?//", re.I)
CSS = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")


class Assets(HTMLParser):
    """What a browser loads by itself when it opens a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        if tag in LOADS:
            self.loaded += [values.get(LOADS[tag], ""), *values.get("srcset", "").split(",")]
        if tag == "link" and LOADED_LINKS & {*values.get("rel", "").split()}:
            self.loaded.append(values.get("href", ""))
        if tag == "a":
            self.links.append(values.get("href", ""))
        self.loaded += [one or two for one, two in CSS.findall(values.get("style", ""))]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for module in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(module, reason=f"no {module} here; pip install -c constraints.txt -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs", ".", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return folder


def pages(site: Path) -> Iterator[tuple[Path, Assets]]:
    for file in sorted(site.rglob("*.html")):
        if "_downloads" not in file.parts:  # al-report's pages, which have a test of their own
            yield file, Assets(file.read_text())


def test_no_page_loads_anything_from_a_network(site: Path) -> None:
    loaded = {file: assets.loaded for file, assets in pages(site)}
    assert len(loaded) > 30
    assert any(path.endswith("house.svg") for path in loaded[site / "docs" / "built.html"])
    styles = {file: [one or two for one, two in CSS.findall(file.read_text())] for file in site.rglob("*.css")}
    assert styles
    remote = {(file.name, path) for file, paths in {**loaded, **styles}.items() for path in paths if REMOTE.match(path)}
    assert remote == set()


def test_a_remote_asset_would_be_seen() -> None:
    page = '<link rel="icon" href="//a/b.png"><img src="https://a/c.png"><p style="background:url(http://a/d)">'
    assert len([path for path in Assets(page).loaded if REMOTE.match(path)]) == 3
    assert Assets('<a href="https://a">').loaded == []


def test_every_link_of_the_site_leads_to_a_file_of_it(site: Path) -> None:
    missing = set()
    for file, assets in pages(site):
        for link in assets.links:
            target = link.partition("#")[0]
            if target and not re.match(r"[a-z]+:", target) and not (file.parent / target).exists():
                missing.add((file.name, link))
    assert missing == set()


def test_the_navigation_has_every_document(site: Path) -> None:
    links = {link.partition("#")[0] for link in Assets((site / "docs" / "README.html").read_text()).links}
    assert {f"{page.stem}.html" for page in (REPOSITORY / "docs").glob("*.md") if page.stem != "README"} <= links
    assert {"../README.html", "../CONTRIBUTING.html", "../CHANGELOG.html"} <= links
    assert 'url=docs/README.html"' in (site / "index.html").read_text()


def test_every_page_has_a_title_of_its_own(site: Path) -> None:
    titles = {file: re.search(r"<title>(.*?)</title>", file.read_text(), re.S) for file, _ in pages(site)}
    assert [
        file for file, title in titles.items() if title is None or "no title" in title[1] or title[1].isspace()
    ] == []


def test_a_browser_opens_and_searches_it_without_a_network(site: Path) -> None:
    sync = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here; apt-get install chromium")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        tab, asked = browser.new_page(viewport={"width": 390, "height": 900}), list[str]()
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto((site / "index.html").as_uri())
        tab.wait_for_url("**/docs/README.html")
        for name in ("docs/README", "docs/tutorial", "docs/glossary", "docs/built"):
            tab.goto((site / f"{name}.html").as_uri())
            assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name
            assert tab.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)"), name
        tab.goto((site / "search.html").as_uri() + "?q=Holm")
        tab.locator("#search-results a", has_text="Reading the tables").wait_for()
        browser.close()
    assert len(asked) > 20
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
