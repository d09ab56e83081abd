"""What others build on is what it was: `public_surface.txt` has a line for each thing.

docs/compatibility.md is what these tests hold, and says how something is changed after all.
"""

import pytest

from tools.reference.surface import FILE, surface

POLICY = "docs/compatibility.md says how; if it is meant, CHANGELOG.md says so: then `make surface`"


@pytest.fixture(scope="module")
def before():
    return frozenset(FILE.read_text().splitlines())


@pytest.fixture(scope="module")
def now():
    return frozenset(surface())


def of(kind, lines):
    return {line for line in lines if line.startswith(f"{kind} ")}


def owner(line):
    """The class, or the hook, that a line is about."""
    return line.split(" ")[1].partition(".")[0].partition("(")[0]


def test_no_hook_gets_or_loses_an_argument(before, now):
    known = {owner(line) for line in of("hook", before)}

    changed = {line for line in of("hook", now - before) if owner(line) in known}
    assert changed == set(), "what hooks need later becomes an attribute of PluginContext"


def test_nothing_abstract_is_added_to_a_class_that_others_implement(before, now):
    known = {line.removeprefix("name broker ") for line in of("name broker", before)}

    added = {line for line in of("abstract", now - before) if owner(line) in known}
    assert added == set(), "implementations lack it: give it a default"


def test_no_new_field_is_demanded_of_those_who_make_an_object(before, now):
    known = {owner(line) for line in of("value", before)}

    added = {line for line in now - before if line.endswith(", required") and owner(line) in known}
    assert added == set(), "whoever makes one lacks it: give it a default"


def test_nothing_public_goes_away_or_changes(before, now):
    assert sorted(before - now) == [], f"others build on it: keep it, deprecated; {POLICY}"


def test_what_is_new_is_written_down(before, now):
    assert sorted(now - before) == [], "it will be kept from now on: write it down, `make surface`"
