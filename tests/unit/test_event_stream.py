"""The format, held against a parser that is written from the specification, and httpx-sse."""

import re

import httpx
import pytest
from event_stream import Parser, parse
from httpx_sse import EventSource
from hypothesis import example, given
from hypothesis import strategies as st

from broker import write_event, write_id, write_retry

lines = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1)
texts = st.text(st.characters(exclude_categories=["Cs"])) | st.text(
    "\r\n\0: a\u2028\u2029\x85\ufeff"
)


def as_read(data):
    """All newlines are LF to who reads."""
    return re.sub("\r\n|\r", "\n", data)


@given(name=lines, data=texts, event_id=lines)
@example(name="a", data="\r\n", event_id=" ")
@example(name=": a", data=":", event_id="\ufeff")
@example(name=" a", data=" a", event_id="a:")
@example(name="a", data="a\n", event_id="a")
@example(name="a", data="\ndata: b\n\nevent: c", event_id="a")
def test_what_is_written_is_read(name, data, event_id):
    written = write_event(name, data.encode(), event_id=event_id)

    assert [(e.name, e.data, e.id) for e in parse(written)] == [(name, as_read(data), event_id)]
    [read] = read_by_httpx(written)
    assert (read.event, read.data, read.id) == (name, as_read(data), event_id)


@given(st.lists(st.tuples(lines, texts, lines), max_size=3))
def test_events_do_not_run_into_each_other(events):
    written = b"".join(write_event(name, data.encode(), event_id=id) for name, data, id in events)

    expected = [(name, as_read(data), id) for name, data, id in events]
    assert [(e.name, e.data, e.id) for e in parse(written)] == expected
    assert [(e.event, e.data, e.id) for e in read_by_httpx(written)] == expected


def read_by_httpx(written):
    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=written)
    return list(EventSource(response).iter_sse())


@pytest.mark.parametrize("character", ["\r", "\n", "\r\n", "\0"])
@pytest.mark.parametrize("text", ["{}", "a{}", "{}a", "a{}b"])
def test_a_name_or_id_that_would_break_an_event_is_refused(character, text):
    bad = text.format(character)
    with pytest.raises(ValueError, match="one line, without NUL"):
        write_event(bad, b"")
    with pytest.raises(ValueError, match="one line, without NUL"):
        write_event("a", b"", event_id=bad)
    with pytest.raises(ValueError, match="one line, without NUL"):
        write_id(bad)


def test_an_id_can_be_moved_without_an_event():
    parser = Parser().feed(write_event("a", b"b", event_id="e-1") + write_id("e-7"))

    assert parser.last_id == "e-7"
    assert [event.id for event in parser.events] == ["e-1"]


def test_the_time_after_which_to_come_again_is_read():
    parser = Parser().feed(write_retry(2_718))

    assert parser.retry == 2_718
    assert parser.events == []
