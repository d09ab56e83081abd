"""What clients want to be told of."""

import pytest

from broker import EVENT_KINDS, Malformed
from broker_sse.filters import MESSAGE_KINDS, Filter, read_filter


def read(*, queue=(), event=()):
    query = {"queue": list(queue), "event": list(event)}
    return read_filter({name: values for name, values in query.items() if values})


def covered(wants, *queues):
    return [queue for queue in queues if wants.covers(queue)]


def test_who_names_nothing_gets_everything_but_stats():
    wants = read()

    assert wants == Filter()
    assert wants.kinds == EVENT_KINDS
    assert covered(wants, "a", "b.c") == ["a", "b.c"]
    assert not wants.stats


@pytest.mark.parametrize(
    ("globs", "matching"),
    [
        (["orders"], ["orders"]),
        (["*-eu", "mail"], ["orders-eu", "mail"]),
        (["mail,*-eu"], ["orders-eu", "mail"]),
    ],
)
def test_queues_are_named_by_globs(globs, matching):
    assert covered(read(queue=globs), "orders", "orders-eu", "mail") == matching


@pytest.mark.parametrize(
    ("globs", "kinds"),
    [
        (["message.acked"], {"message.acked"}),
        (["queue.p*"], {"queue.purged", "queue.paused"}),
        (["message.retried,queue.deleted"], {"message.retried", "queue.deleted"}),
        (["message.*"], MESSAGE_KINDS),
        (["*.deleted"], {"queue.deleted", "message.deleted"}),
        (["*"], EVENT_KINDS),
    ],
)
def test_events_are_named_by_globs(globs, kinds):
    wants = read(event=globs)

    assert wants.kinds == kinds
    assert not wants.stats
    assert all(wants.takes("q", kind) for kind in kinds)
    assert not any(wants.takes("q", kind) for kind in EVENT_KINDS - kinds)


def test_stats_are_for_those_who_name_them():
    alone = read(event=["stats"])
    assert (alone.stats, alone.kinds) == (True, frozenset())
    both = read(event=["stats,queue.paused"])
    assert (both.stats, both.kinds) == (True, {"queue.paused"})


def test_nobody_is_told_of_upkeep():
    assert "maintenance.done" not in EVENT_KINDS
    with pytest.raises(Malformed):
        read(event=["maintenance.done"])


def test_a_queue_is_watched_for_what_happens_to_its_messages():
    wants = Filter.of_messages("q*")

    assert wants.takes("q*", "message.acked")
    assert not wants.takes("q1", "message.acked")
    assert not wants.takes("q*", "queue.paused")


@pytest.mark.parametrize("glob", ["message.vanished", "message", "Message.*", "stat?", "*.*.*"])
def test_an_event_that_there_is_not_is_refused(glob):
    with pytest.raises(Malformed) as refused:
        read(event=["message.acked", glob])

    assert str(refused.value).startswith(f'no event is called "{glob}"; there are message.acked, ')
    assert "stats" in str(refused.value)


@pytest.mark.parametrize(
    ("glob", "shown"),
    [
        ("", '""'),
        ("a,", '""'),
        ("a\nb", r'"a\nb"'),
        ("\udcff", r'"\udcff"'),  # what is not UTF-8 comes so
    ],
)
@pytest.mark.parametrize("name", ["queue", "event"])
def test_a_glob_that_is_no_text_is_refused(name, glob, shown):
    with pytest.raises(Malformed) as refused:
        read(**{name: [glob]})

    expected = f"{name}: expected globs of 1 to 255 printable characters, received {shown}"
    assert str(refused.value) == expected


@pytest.mark.parametrize("name", ["queue", "event"])
@pytest.mark.parametrize("values", [["*"] * 51, [",".join("*" * 51)], ["*,*"] * 26])
def test_fifty_globs_are_taken(name, values):
    read(**{name: ["*"] * 50})
    with pytest.raises(Malformed, match=f"{name}: expected at most 50 globs, received 5[12]"):
        read(**{name: values})
