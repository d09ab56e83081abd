"""How keys, values and names are written in one-line messages."""

import pytest

from broker.wording import described, did_you_mean, dotted, quoted, shown


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("server", "port"), "server.port"),
        (("plugins", "a-b", "list", 0, "x"), "plugins.a-b.list[0].x"),
        (("plugins", "a.b", "c d", ""), 'plugins."a.b"."c d".""'),
    ],
)
def test_a_path_is_written_as_toml_writes_it(path, text):
    assert dotted(path) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("ü", '"ü"'),
        ("a\n\x1b\x7f\u2028\udcff", '"a\\n\\u001b\\u007f\\u2028\\udcff"'),
        ({"a": [True, None, 1.5]}, '{"a": [true, null, 1.5]}'),
        ("x" * 200, '"' + "x" * 119 + "…"),
    ],
)
def test_a_value_is_shown_on_one_printable_line(value, text):
    assert shown(value) == text


def test_names_are_quoted():
    assert quoted(["a", "b"]) == '"a", "b"'


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("storge", '; did you mean "storage"?'),
        ("STORAGE", '; did you mean "storage"?'),
        ("xyz", ""),
    ],
)
def test_the_nearest_name_is_suggested(name, hint):
    assert did_you_mean(name, ["server", "storage"]) == hint


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (ValueError(), "ValueError"),
        (KeyError("a\x1b"), "KeyError: 'a\\x1b'"),
        (ValueError("a\x1b"), "ValueError: a\\u001b"),
    ],
)
def test_an_exception_is_described_on_one_line(error, text):
    assert described(error) == text


def test_a_cause_that_cannot_say_what_it_is_has_its_type_at_least():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    assert described(Mute()) == "Mute"
