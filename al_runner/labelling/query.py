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

from al_runner.labelling.rows import CANT_TELL, LABEL, NEW_CLASS
from al_runner.system.atomic import replace_file

HERE = Path(__file__).parent
TABLE, PAGE, TASKS, TASKS_CONFIG = "query.csv", "query.html", "query-label-studio.json", "query-label-studio.xml"
COLUMNS = ("id", "file", "label", "guess", "sureness", "fingerprint")


@dataclass(frozen=True)
class Item:
    """An image that waits for a label."""

    id: int
    file: str  # "" if the image came from an array
    picture: str  # a data: URL
    guess: str = ""  # the class that the net predicted, "" if no net has seen the image
    sureness: float = 0.0  # the net's probability of that class
    label: str = ""  # the text that the table shows already
    fingerprint: str = ""  # of its pixels; an answer is taken for no other image


@dataclass(frozen=True)
class Questions:
    """The images that a person is asked about together."""

    title: str
    items: Sequence[Item]
    classes: Sequence[str]


def write(folder: Path, questions: Questions) -> None:
    """Write the four files, the table last: if the table exists, the others do too.

    Raises OSError if one can't be written.
    """
    replace_file(folder / PAGE, page(questions).encode())
    replace_file(folder / TASKS, (json.dumps([task(item) for item in questions.items], indent=1) + "\n").encode())
    replace_file(folder / TASKS_CONFIG, tasks_config(questions.classes).encode())
    replace_file(folder / TABLE, table(questions.items).encode())


def remove(folder: Path) -> None:
    """Remove the files of a query that is answered."""
    for name in (TABLE, PAGE, TASKS, TASKS_CONFIG):
        (folder / name).unlink(missing_ok=True)


def table(items: Sequence[Item]) -> str:
    """The text of query.csv."""
    text = StringIO()
    rows = ((i.id, i.file, i.label, i.guess, f"{i.sureness:.3f}" if i.guess else "", i.fingerprint) for i in items)
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    return text.getvalue()


def page(questions: Questions) -> str:
    """The text of query.html."""
    items = [item.__dict__ for item in questions.items]
    # A browser keeps the answers of a page under this name, so they do not appear in the page of another query.
    asked = [(item.id, item.file, item.picture) for item in questions.items]
    name = sha256(repr([questions.title, asked]).encode()).hexdigest()[:16]
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True)
    return environment.get_template("page.html.jinja").render(
        title=questions.title,
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
        data=_json({"name": name, "items": items, "classes": [*questions.classes]}),
    )


def task(item: Item) -> dict[str, Any]:
    """A task for Label Studio: an image, with the net's guess as its prediction."""
    data = {"image": item.picture, "image_id": item.id, "file": item.file, "fingerprint": item.fingerprint}
    content: dict[str, Any] = {"data": data}
    if item.guess:
        choice = {"from_name": LABEL, "to_name": "image", "type": "choices", "value": {"choices": [item.guess]}}
        content["predictions"] = [{"model_version": "al-runner", "score": item.sureness, "result": [choice]}]
    return content


def tasks_config(classes: Sequence[str]) -> str:
    """The labelling interface for Label Studio, as XML: a choice of the classes, and a text field for a new one."""
    choices = "".join(f"\n    <Choice value={quoteattr(name)}/>" for name in (*classes, CANT_TELL))
    return (
        '<View>\n  <Image name="image" value="$image"/>\n'
        f'  <Choices name="{LABEL}" toName="image" choice="single">{choices}\n  </Choices>\n'
        f'  <TextArea name="{NEW_CLASS}" toName="image" maxSubmissions="1" editable="true"'
        ' placeholder="or type the name of a new class, and press Enter"/>\n</View>\n'
    )


def _json(content: Mapping[str, Any]) -> str:
    """JSON that is safe inside a script element."""
    return json.dumps(content).replace("<", "\\u003c")
