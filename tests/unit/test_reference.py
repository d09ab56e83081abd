"""The pages that are written from the sources are written, and tell all that is public."""

import ast
import inspect
import re

import pytest

import broker
from broker import hookspecs
from broker.hookimpls import hook_names
from tools.reference import hooks
from tools.reference.api import grouped
from tools.reference.definitions import ROOT, Definition
from tools.reference.markdown import anchor, prose
from tools.reference.members import members
from tools.reference.names import fixtures, public, undocumented
from tools.reference.pages import PAGES


def page(name):
    return (ROOT / "docs" / name).read_text()


def headings(text, level):
    return re.findall(rf"^{'#' * level} (.+)$", text, re.MULTILINE)


def plain(signature):
    """A signature, however it is broken into lines and quoted."""
    return re.sub(r"\s|'|,(?=\s*\))", "", signature)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_sources_say(name):
    assert page(name) == PAGES[name](), "the sources changed: run `make docs`"


@pytest.mark.parametrize("name", PAGES)
def test_no_two_headings_of_a_page_are_called_alike_by_links(name):
    anchors = [anchor(heading) for level in (2, 3) for heading in headings(page(name), level)]

    assert sorted(set(anchors)) == sorted(anchors)


def test_everything_public_has_a_docstring():
    assert list(undocumented()) == []


def test_every_public_name_has_its_place():
    homeless = {name: one.module for name, one in grouped().get(None, {}).items()}
    assert homeless == {}, "choose a group for these modules in tools/reference/groups.py"

    told = headings(page("api.md"), 3)
    assert [name for name in (*public(), *broker.__all__) if f"`{name}`" not in told] == []
    assert [name for name in fixtures() if f"fixture `{name}`" not in told] == []


def test_every_hook_is_told_with_what_it_is_given():
    assert tuple(hooks.hooks()) == hook_names() == tuple(hooks.FATES)
    assert len(hook_names()) == 10
    for name in hook_names():
        specified = inspect.signature(getattr(hookspecs, name))
        below = page("hooks.md").partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
        [shown] = re.findall(rf"\A\n```python\ndef {name}(.+?)\n```", below, re.DOTALL)
        assert plain(shown) == plain(str(specified))
        assert [given for given in specified.parameters if f"\n- `{given}`: " not in below] == []


def test_what_a_provider_has_is_told_beside_its_hook():
    text = page("hooks.md")
    for name in hooks.PROVIDERS:
        provider = getattr(broker, name)
        own = [key for key in vars(provider) if not key.startswith("_")]
        below = text.partition(f"\n### `{name}`\n")[2].partition("\n## ")[0]
        assert [key for key in own if not re.search(rf"(def {key}\(|- `{key}\b)", below)] == []


def test_fields_attributes_and_methods_are_found_with_what_is_said_of_them():
    source = '''
class Thing(Base):
    size: int = 1
    """How large it is."""
    bare: int

    def __init__(self, name: str) -> None:
        self.name = name
        """What it is called."""
        self._hidden = 1

    @property
    def half(self) -> float:
        """Return a part of it."""

    def grow(self) -> None:
        """Make it larger."""

    def test_that_it_grows(self) -> None: ...
'''
    thing = Definition("Thing", "broker", ast.parse(source).body[0], None)

    found = [(member.name, member.is_value, member.doc) for member in members(thing, ())]

    assert found == [
        ("size", True, "How large it is."),
        ("bare", True, None),
        ("name", True, "What it is called."),
        ("half", True, "Return a part of it."),
        ("grow", False, "Make it larger."),
    ]


def test_what_an_object_does_when_it_is_called_is_a_method_like_others():
    source = """
class Servers:
    def __call__(self, plugins):
        pass

    async def __aenter__(self):
        "Start."

    async def __aexit__(self, *error):
        pass

    def _start(self):
        "Start, too."
"""
    [node] = ast.parse(source).body

    names = [one.name for one in members(Definition("Servers", "broker", node, None), set())]

    assert names == ["__call__", "__aenter__"]


def test_what_is_indented_in_a_docstring_is_code():
    assert prose("Do it:\n\n    one()\n\n    two()\n\nThen rest.") == (
        "Do it:\n\n```python\none()\n\ntwo()\n```\n\nThen rest."
    )
