"""How Sphinx makes the site: `sphinx-build -W -c docs . build/site`, from the top of the repository.

The source folder is the whole repository. So a link between two documents is the same relative path in the repository
and in the site. The navigation is the list of links in docs/README.md, and is written nowhere else.
"""

import re

from sphinx.application import Sphinx

project = "al-runner"
html_title = "al-runner"
root_doc = "docs/README"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**.md", "outputs/reproduced/**.md"]
exclude_patterns = [".*", "build", "dist"]  # folders that Sphinx does not search
suppress_warnings = ["toc.not_included"]  # evidence is reached by links; tests/test_docs.py finds pages without a link

extensions = ["myst_parser"]
myst_heading_anchors = 4
templates_path = ["site"]
html_additional_pages = {"index": "index.html"}  # leads to docs/README.html
html_theme = "furo"
html_copy_source = False
html_show_copyright = False

NAVIGATION = "\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"
PAPERS = "\n\n```{toctree}\n:hidden:\n:glob:\n\n/outputs/reproduced/*/README\n```\n"


def navigation(page: str) -> str:
    """A table of contents for every `## Section` of the page, of the `.md` files that its list links to."""
    trees = []
    for section in page.split("\n## ")[1:]:
        caption, _, body = section.partition("\n")
        links = re.findall(r"^- \[([^]]+)\]\(([^)#]+\.md)\)", body, re.M)
        pages = "\n".join(f"{title} <{path.removesuffix('.md')}>" for title, path in links)
        trees.append(NAVIGATION.format(caption=caption, pages=pages))
    return "".join(trees)


def read(app: Sphinx, name: str, source: list[str]) -> None:
    """Add the navigation to the first page, the folders of the runs to the page of the papers, and missing titles."""
    if not re.match(r"\s*# ", source[0]):  # a table that a command wrote
        source[0] = f"# {name.removeprefix('outputs/reproduced/')}\n\n{source[0]}"
    if name == app.config.root_doc:
        source[0] += navigation(source[0])
    if name == "docs/fidelity":
        source[0] += PAPERS


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True}
