"""Write the pages: `python -m tools.reference`."""

from tools.reference.definitions import ROOT
from tools.reference.pages import PAGES

for name, write in PAGES.items():
    (ROOT / "docs" / name).write_text(write())
