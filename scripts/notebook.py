"""Carries out docs/notebook.ipynb from top to bottom, without Jupyter, and stores what its cells show.

python scripts/notebook.py writes the file anew. Look at it before you commit it.
"""

import ast
import json
from base64 import b64encode
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "docs" / "notebook.ipynb"

Json = dict[str, Any]


def carried_out(notebook: Mapping[str, Any]) -> Json:
    """The notebook with the outputs of its code cells, which are carried out in one namespace. An error is raised."""
    namespace: Json = {"__name__": "__main__"}
    cells, count = list[Json](), 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            outputs = _outputs("".join(cell["source"]), namespace, count)
            cells.append(cell | {"execution_count": count, "outputs": outputs})
        else:
            cells.append(cell)
    return {**notebook, "cells": cells}


def _outputs(source: str, namespace: Json, count: int) -> list[Json]:
    """What a cell prints, and the value of its last line if that is an expression."""
    tree, printed, value = ast.parse(source), StringIO(), None
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with redirect_stdout(printed):
        exec(compile(tree, f"cell {count}", "exec"), namespace)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), f"cell {count}", "eval"), namespace)
    outputs: list[Json] = []
    if printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": _lines(printed.getvalue())})
    if value is not None:
        result = {"output_type": "execute_result", "execution_count": count, "metadata": {}}
        outputs.append(result | {"data": _data(value)})
    return outputs


def _data(value: object) -> Json:
    """A value as Jupyter shows it: as text, and as a picture or a table if it has one."""
    data: Json = {"text/plain": _lines(repr(value))}
    if hasattr(value, "_repr_png_"):
        data["image/png"] = b64encode(value._repr_png_()).decode()
    table = value._repr_html_() if hasattr(value, "_repr_html_") else None  # None of a figure
    if table is not None:
        data["text/html"] = _lines(table)
    return data


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main() -> None:
    """Write the notebook with new outputs."""
    done = carried_out(json.loads(FILE.read_text(encoding="utf-8")))
    FILE.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
