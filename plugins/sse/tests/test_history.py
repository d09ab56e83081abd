"""The ring of entries, and where somebody begins who comes back."""

from hypothesis import given
from hypothesis import strategies as st

from broker import Event
from broker_sse.entry import Entry, EventId
from broker_sse.history import History, Start


def entry(text):
    epoch, _, sequence = text.partition("-")
    event = Event(kind="message.acked", queue="q", at=0, subject="s")
    return Entry(EventId(epoch, int(sequence)), event)


def make(*ids, size=10, before="a-0"):
    history = History(size)
    history.begin(entry(before).id)
    for text in ids:
        history.add(entry(text))
    return history


def after(history, text):
    """What somebody gets who comes back with an id, whence, and whether there is a gap."""
    return got(history, history.after(entry(text).id))


def got(history, start):
    ids = [str(found.id) for found in history.read(start.position, 1_000)]
    whence = None if start.resumed_from is None else str(start.resumed_from)
    return ids, whence, start.gap


def test_all_that_came_after_an_id_is_there():
    history = make("a-1", "a-2", "a-3")

    assert after(history, "a-1") == (["a-2", "a-3"], "a-1", False)
    assert after(history, "a-3") == ([], "a-3", False)


def test_who_got_nothing_yet_begins_before_the_first():
    assert after(make(), "a-0") == ([], "a-0", False)
    assert after(make("a-1"), "a-0") == (["a-1"], "a-0", False)


def test_the_oldest_entries_go():
    history = make("a-1", "a-2", "a-3", "a-4", size=3)

    assert after(history, "a-1") == (["a-2", "a-3", "a-4"], "a-1", False)
    assert after(history, "a-0") == (["a-2", "a-3", "a-4"], "a-1", True)
    assert history.read(0, 10) is None


def test_what_is_not_of_this_order_is_a_gap():
    history = make("a-1", "a-2")

    assert after(history, "b-1") == ([], None, True)  # foreign
    assert after(history, "a-3") == ([], None, True)  # of the future
    assert after(make(), "a-1") == ([], None, True)
    assert after(make(before="a-5"), "a-4") == ([], "a-5", True)


def test_everything_and_nothing_can_be_asked_for():
    history = make("a-1", "a-2", "a-3", size=2)

    assert got(history, history.whole()) == (["a-2", "a-3"], "a-1", False)
    assert got(history, history.new()) == ([], None, False)
    assert got(history, history.new(gap=True)) == ([], None, True)


def test_an_order_may_leave_an_epoch_and_come_back_to_it():
    history = make("a-1", "a-2", "b-1", "b-2", "a-5", "a-6")

    assert after(history, "a-2") == (["b-1", "b-2", "a-5", "a-6"], "a-2", False)
    assert after(history, "b-1") == (["b-2", "a-5", "a-6"], "b-1", False)
    assert after(history, "b-2") == (["a-5", "a-6"], "b-2", False)
    assert after(history, "a-5") == (["a-6"], "a-5", False)
    assert after(history, "b-3") == ([], None, True)
    assert after(history, "a-7") == ([], None, True)
    # One that was told elsewhere: what is certain is that all from there on came later.
    assert after(history, "a-4") == (["b-1", "b-2", "a-5", "a-6"], "a-2", True)


def test_an_id_that_was_left_out_begins_with_the_next():
    assert after(make("a-1", "a-5", "a-9"), "a-4") == (["a-5", "a-9"], "a-1", True)


def test_an_epoch_of_which_nothing_is_left_is_too_old():
    history = make("a-1", "a-2", "b-1", "b-2", size=2)

    assert after(history, "a-2") == (["b-1", "b-2"], "a-2", False)
    assert after(history, "a-1") == (["b-1", "b-2"], "a-2", True)
    assert after(history, "a-3") == ([], None, True)


def test_who_comes_back_over_a_gap_is_told():
    history = make("a-1", "a-2")
    history.mark_gap()
    history.add(entry("a-9"))
    history.add(entry("a-10"))

    assert after(history, "a-1") == (["a-2", "a-9", "a-10"], "a-1", True)
    assert after(history, "a-2") == (["a-9", "a-10"], "a-2", True)
    assert after(history, "a-9") == (["a-10"], "a-9", False)


def test_without_a_history_only_the_newest_id_is_known():
    history = make("a-1", "a-2", size=0)

    assert after(history, "a-2") == ([], "a-2", False)
    assert after(history, "a-1") == ([], "a-2", True)
    assert got(history, history.whole()) == ([], "a-2", False)


def test_a_history_can_begin_anew():
    history = make("a-1", "a-2", "a-3", size=2)
    history.begin(EventId("b", 7))
    for text in ("b-8", "b-9", "b-10"):
        history.add(entry(text))

    assert after(history, "b-8") == (["b-9", "b-10"], "b-8", False)
    assert after(history, "a-3") == ([], None, True)
    assert history.newest == EventId("b", 10)


@given(
    size=st.integers(0, 8),
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3)), max_size=30),
)
def test_it_agrees_with_a_list(size, steps):
    """Any order of epochs, with numbers left out, against looking at every id."""
    history = make(size=size)
    told, last = ["a-0"], {"a": 0, "b": 0, "c": 0}
    for epoch, step in steps:
        last[epoch] += step
        told.append(f"{epoch}-{last[epoch]}")
        history.add(entry(told[-1]))

    kept = told[max(1, len(told) - size) :]
    before = told[len(told) - len(kept) - 1]
    assert history.newest == entry(told[-1]).id
    assert got(history, history.whole()) == (kept, before, False)
    for index, text in enumerate([before, *kept]):
        assert after(history, text) == (kept[index:], text, False)
    for epoch, newest in last.items():
        for sequence in range(newest + 2):
            text = f"{epoch}-{sequence}"
            if text not in (before, *kept):
                ids, _, gap = after(history, text)
                assert gap
                assert ids == kept[len(kept) - len(ids) :]
    assert history.read(history.end, 5) == []
    assert history.new() == Start(len(told) - 1)
