"""Writes what the help and docs/settings.md say about the options, in a checkout: python scripts/settings.py."""

from al_runner.plugins import registered  # noqa: F401 - the resolvers of conf/
from al_runner.settings import catalogue, declared, page
from al_runner.settings.groups import conf_dir

if __name__ == "__main__":
    declared.FILE.write_text(catalogue.as_json(), encoding="utf-8")
    (conf_dir().parent / "docs" / "settings.md").write_text(page.page(), encoding="utf-8")
