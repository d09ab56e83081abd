"""Pages that begin with nothing are followed, and show what whoever follows them sees."""

import shutil
from pathlib import Path

import pytest
from follower import Follower

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.timeout(600)  # each of its runs of pytest tests a contract
@pytest.mark.parametrize("page", ["tutorial.md", "kit.md", "embedding.md"])
@pytest.mark.skipif(shutil.which("curl") is None, reason="the tutorial uses curl")
def test_whoever_follows_a_page_sees_what_it_shows(tmp_path, page):
    with Follower(tmp_path) as somebody:
        somebody.follow((DOCS / page).read_text())
