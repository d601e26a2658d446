"""What a person is asked: a page that needs no network, a table to fill, and tasks for Label Studio."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from jinja2 import Environment, FileSystemLoader

from al_runner.system.atomic import replace_file

HERE = Path(__file__).parent
TABLE, PAGE, TASKS, TASKS_CONFIG = "query.csv", "query.html", "query-label-studio.json", "query-label-studio.xml"
COLUMNS = ("id", "file", "label", "guess", "sureness")


@dataclass(frozen=True)
class Item:
    """An image that waits for a label."""

    id: int
    file: str  # "" where it came from an array
    picture: str  # a data: URL
    guess: str = ""  # the net's class, "" where no net has seen it
    sureness: float = 0.0  # the probability it gives that class
    label: str = ""  # what stands there already


@dataclass(frozen=True)
class Query:
    """What is asked at one time."""

    title: str
    items: Sequence[Item]
    classes: Sequence[str]


def write(folder: Path, query: Query) -> None:
    """The four files, the table last: where it is there, so are the others. OSError where one can't be written."""
    replace_file(folder / PAGE, page(query).encode())
    replace_file(folder / TASKS, (json.dumps([task(item) for item in query.items], indent=1) + "\n").encode())
    replace_file(folder / TASKS_CONFIG, tasks_config(query.classes).encode())
    replace_file(folder / TABLE, table(query.items).encode())


def remove(folder: Path) -> None:
    """Take the files of an answered query away."""
    for name in (TABLE, PAGE, TASKS, TASKS_CONFIG):
        (folder / name).unlink(missing_ok=True)


def table(items: Sequence[Item]) -> str:
    """query.csv."""
    text = StringIO()
    rows = ((i.id, i.file, i.label, i.guess, f"{i.sureness:.3f}" if i.guess else "") for i in items)
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    return text.getvalue()


def page(query: Query) -> str:
    """query.html."""
    items = [item.__dict__ for item in query.items]
    # The answers of one page must not turn up in that of another query, so a browser keeps them under this name.
    name = sha256(repr([query.title, [item.id for item in query.items]]).encode()).hexdigest()[:16]
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True)
    return environment.get_template("page.html.jinja").render(
        title=query.title,
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
        data=_json({"name": name, "items": items, "classes": [*query.classes]}),
    )


def task(item: Item) -> dict[str, Any]:
    """An image for Label Studio, with the net's guess as its prediction."""
    found: dict[str, Any] = {"data": {"image": item.picture, "image_id": item.id, "file": item.file}}
    if item.guess:
        choice = {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [item.guess]}}
        found["predictions"] = [{"model_version": "al-runner", "score": item.sureness, "result": [choice]}]
    return found


def tasks_config(classes: Sequence[str]) -> str:
    """The labelling interface for Label Studio."""
    choices = "".join(f"\n    <Choice value={quoteattr(name)}/>" for name in (*classes, "?"))
    return (
        '<View>\n  <Image name="image" value="$image"/>\n'
        f'  <Choices name="label" toName="image" choice="single">{choices}\n  </Choices>\n</View>\n'
    )


def _json(held: Mapping[str, Any]) -> str:
    """As a script element may hold it."""
    return json.dumps(held).replace("<", "\\u003c")
