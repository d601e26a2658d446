"""query.html in a real browser, where there is one: 60 images labelled by somebody who clicks and types."""

import csv
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from command import Command
from labelled import COLOURS, colour_of, photos, run_folder, words
from labelled import rows as labelled_rows

from al_runner.labelling.pictures import data_url
from al_runner.labelling.query import Item, Questions, page, table, task, tasks_config, write

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu"]
TRUTH = ("red", "green", "blue")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium here; apt-get install chromium")
    with sync.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)


def query(folder: Path, classes: tuple[str, ...] = ("red", "green"), count: int = 60) -> Path:
    """The files of a query of so many images in three colours, of which the last is no class yet."""
    rng = np.random.default_rng(0)
    items = []
    for number in range(count):
        pixels = rng.integers(0, 100, (3, 24, 24), dtype=np.uint8)
        pixels[number % 3] += 130
        name = f'photo "{number:02d}", </script>.png'
        items.append(Item(100 + number, name, data_url(torch.from_numpy(pixels), None), "red", 0.5 + number / 200))
    write(folder, Questions("my photos entropy seed 0, round 3", items, classes))
    return folder / "query.html"


def opened(browser: Any, page: Path, said: list[str], width: int = 1200) -> Any:
    tab = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True).new_page()
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda asked: None if asked.url.startswith(("file:", "data:")) else said.append(asked.url))
    tab.goto(page.as_uri())
    return tab


def saved(tab: Any, to: Path) -> list[dict[str, str]]:
    """What the page's button saves."""
    with tab.expect_download() as download:
        tab.locator("#save").click()
    assert download.value.suggested_filename == "query.csv"
    download.value.save_as(to)
    with to.open(newline="") as stream:
        return [*csv.DictReader(stream)]


def test_sixty_images_are_labelled_by_clicks_and_keys(browser: Any, tmp_path: Path) -> None:
    said: list[str] = []
    tab = opened(browser, query(tmp_path), said)
    assert tab.locator("#count").inner_text() == "0 of 60 labelled, 60 left"
    assert tab.locator("#guess").inner_text() == "net's guess: red, 50 % sure"
    tab.locator("#name").fill("blue")
    tab.locator("#name").press("Enter")
    assert [name.get_attribute("data-name") for name in tab.locator("#classes button").all()] == [*TRUTH]
    for number in range(60):
        assert tab.locator("#image").get_attribute("alt").startswith(f'photo "{number:02d}"')
        if number == 7:
            tab.keyboard.press("3")  # wrong, and taken back
            tab.keyboard.press("Backspace")
        if number % 2:
            tab.keyboard.press(str(number % 3 + 1))
        else:
            tab.locator(f"#classes button[data-name={TRUTH[number % 3]}]").click()
        if number == 58:
            tab.screenshot(path=str(tmp_path / "page.png"))
    assert tab.locator("#count").inner_text() == "60 of 60 labelled, 0 left"
    rows = saved(tab, tmp_path / "saved.csv")
    wanted = [f"{'new:' if number % 3 == 2 else ''}{TRUTH[number % 3]}" for number in range(60)]
    assert [row["label"] for row in rows] == wanted
    with (tmp_path / "query.csv").open(newline="") as stream:
        blank = [*csv.DictReader(stream)]
    assert [{**row, "label": ""} for row in rows] == blank
    assert said == []


def test_skip_back_cant_tell_and_a_tab_that_is_closed(browser: Any, tmp_path: Path) -> None:
    said: list[str] = []
    page = query(tmp_path, TRUTH, 4)
    tab = opened(browser, page, said)
    tab.keyboard.press("ArrowRight")  # skip the first
    tab.keyboard.press("?")
    assert tab.locator("#image").get_attribute("alt").startswith('photo "02"')
    tab.keyboard.press("ArrowLeft")
    assert tab.locator("#unsure").get_attribute("aria-pressed") == "true"
    tab.locator("#all button").nth(2).click()
    tab.keyboard.press("2")
    tab.reload()  # the answers are still there
    assert tab.locator("#count").inner_text() == "2 of 4 labelled, 2 left"
    assert [row["label"] for row in saved(tab, tmp_path / "saved.csv")] == ["", "?", "green", ""]
    assert tab.locator("#message").inner_text().endswith("2 images have no label yet.")
    tab.keyboard.press("Backspace")
    assert tab.locator("#message").inner_text() == "There is nothing to undo."
    tab.locator("#name").fill("RED")
    tab.locator("#name").press("Enter")
    assert tab.locator("#message").inner_text() == "The class red exists already."
    assert said == []


@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_the_screen(browser: Any, tmp_path: Path, width: int) -> None:
    classes = tuple(f"a class with a long name, number {number}" for number in range(40))
    tab = opened(browser, query(tmp_path, classes, 6), [], width)
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert len(tab.locator("#classes kbd").all()) == 35  # 1 to 9 and a to z; the others by a click
    tab.keyboard.press("z")
    assert tab.locator("#all button").first.inner_text().endswith("number 34")


def test_what_stands_in_the_table_already_is_shown(browser: Any, tmp_path: Path) -> None:
    items = [Item(number, "", data_url(torch.zeros(1, 8, 8, dtype=torch.uint8), None)) for number in range(3)]
    held = [items[0], Item(1, "", items[1].picture, label="?"), Item(2, "", items[2].picture, label="gren")]
    write(tmp_path, Questions("round 0", held, ("green",)))
    tab = opened(browser, tmp_path / "query.html", [])
    assert tab.locator("#count").inner_text() == "1 of 3 labelled, 2 left"
    known = [
        replace(items[0], label="ka\u0308fer"),
        replace(items[1], label="new:fox"),
        replace(items[2], label="new:"),
    ]
    write(tmp_path, Questions("round 0", known, ("K\u00e4fer",)))
    tab = opened(browser, tmp_path / "query.html", [])
    assert [row["label"] for row in saved(tab, tmp_path / "saved.csv")] == ["K\u00e4fer", "new:fox", ""]


def test_tasks_for_label_studio() -> None:
    made = task(Item(7, "a.png", "data:image/png;base64,AA==", "cat", 0.75, fingerprint="1x8x8-0f"))
    shown = {"image": "data:image/png;base64,AA==", "image_id": 7, "file": "a.png", "fingerprint": "1x8x8-0f"}
    assert made["data"] == shown
    (prediction,) = made["predictions"]
    assert prediction["score"] == 0.75
    assert prediction["result"] == [
        {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": ["cat"]}}
    ]
    assert "predictions" not in task(Item(7, "a.png", "data:,"))
    config = tasks_config(['a "b" & <c>'])
    assert "<Choice value='a \"b\" &amp; &lt;c&gt;'/>" in config
    assert '<Choices name="label" toName="image" choice="single">' in config
    controls = {tag.tag: tag.attrib["name"] for tag in ElementTree.fromstring(tasks_config([])) if tag.tag != "Image"}
    assert controls == {"Choices": "label", "TextArea": "new_class"}  # so that the first query can be answered


def test_a_browser_keeps_the_answers_of_every_query_apart() -> None:
    def name(*items: Item) -> str:
        return page(Questions("photos entropy seed 0, round 0", items, ())).partition('"name": "')[2][:16]

    here = Item(0, "a.png", "data:image/png;base64,AA==")
    assert name(here) == name(replace(here, guess="cat", sureness=0.5, label="dog"))
    others = [replace(here, id=1), replace(here, file="b.png"), replace(here, picture="data:image/png;base64,AQ==")]
    assert len({name(here), *map(name, others)}) == 4


def test_a_table_of_odd_names() -> None:
    text = table([Item(3, 'a,"b".png', "data:,", "x;y", 0.12345, fingerprint="1x8x8-0f")])
    assert text == 'id,file,label,guess,sureness,fingerprint\n3,"a,""b"".png",,x;y,0.123,1x8x8-0f\n'


def test_from_start_to_end_in_a_browser(browser: Any, al_run: Command, tmp_path: Path) -> None:
    """Sixty images of a real run: every query is labelled on its page, saved, and handed in with --labels."""
    root, results = photos(tmp_path / "photos", 72), tmp_path / "results"
    sizes = [
        "dataset.split.test=20",
        "dataset.split.val=10",
        "budget.initial=10",
        "budget.query=10",
        "budget.max_fraction=1",
    ]
    command = words(root, results, *sizes)
    code, clicks = al_run(*command)[0], 0
    while code == 3:
        folder = run_folder(results)
        tab = opened(browser, folder / "query.html", [])
        for name in [] if clicks else COLOURS:
            tab.locator("#name").fill(name)
            tab.locator("#name").press("Enter")
        while not tab.locator("#count").inner_text().endswith(" 0 left"):
            colour = colour_of(tab.locator("#image").get_attribute("alt"))
            tab.locator(f"#classes button[data-name={colour}]").click()
            clicks += 1
        saved(tab, tmp_path / "saved.csv")
        code = al_run(*command, "--labels", str(tmp_path / "saved.csv"))[0]
    assert (code, clicks) == (0, 60)
    assert all(row["class"] == colour_of(row["file"]) for row in labelled_rows(folder / "answered.csv"))
    assert [row["labelled"] for row in labelled_rows(folder / "rounds.csv")] == ["10", "20", "30"]
