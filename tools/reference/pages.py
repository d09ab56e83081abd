"""The pages that are written from the sources, by their names in docs/."""

from tools.reference import api, hooks

PAGES = {"hooks.md": hooks.write, "api.md": api.write}
