import pytest

from broker import NotAcceptable, Request
from broker.builtin.rest.negotiating import choose_type

OFFERED = ("text/event-stream", "application/x-ndjson")
SSE, NDJSON = OFFERED


def choose(accept):
    headers = {} if accept is None else {"accept": accept}
    return choose_type(Request(method="GET", path="/", headers=headers), OFFERED)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, SSE),
        ("*/*", SSE),
        ("text/event-stream", SSE),
        ("application/x-ndjson", NDJSON),
        ("Application/X-NDJSON", NDJSON),
        ("text/*", SSE),
        ("application/*", NDJSON),
        ("text/html, application/x-ndjson", NDJSON),
        ("application/x-ndjson, text/event-stream", SSE),  # the same quality: the first offered
        ("text/event-stream;q=0.5, application/x-ndjson", NDJSON),
        ("text/event-stream; q=0.5 , application/x-ndjson ;q=0.4", SSE),
        ("*/*;q=0.1, application/x-ndjson;q=0.2", NDJSON),
        # the range that names a type most exactly counts, whatever a wider one says
        ("*/*, text/event-stream;q=0", NDJSON),
        ("text/event-stream;q=nonsense, */*;q=0.1", NDJSON),
        ("text/event-stream;q=7, application/x-ndjson", SSE),
    ],
)
def test_the_type_is_the_one_that_is_wanted_most(accept, chosen):
    assert choose(accept) == chosen


@pytest.mark.parametrize(
    "accept", ["", "text/html", "text/html, image/*", "*/*;q=0", "text/event-stream;q=-1", ";", ","]
)
def test_who_takes_none_of_them_is_told_what_there_is(accept):
    with pytest.raises(NotAcceptable) as refused:
        choose(accept)

    assert str(refused.value) == (
        f'expected an Accept that takes text/event-stream or application/x-ndjson, got "{accept}"'
    )
