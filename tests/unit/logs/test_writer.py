import threading

import pytest

from broker.logs import writer as writer_module
from broker.logs.lines import Line, Told
from broker.logs.writer import MOST_LINES, Writer

WAIT = 30


class Sink:
    """Somewhere lines go, which takes them, fails or hangs as a test says."""

    name = "the sink"

    def __init__(self):
        self.taken = []
        self.fails = None
        self.closed = False
        self.free = threading.Event()
        self.free.set()
        self.asked = threading.Semaphore(0)
        self.done = threading.Semaphore(0)

    def write(self, lines):
        self.asked.release()
        self.free.wait(WAIT)
        try:
            if self.fails is not None:
                raise self.fails
            self.taken += lines
            yield len(lines)
        finally:
            self.done.release()

    def close(self):
        self.closed = True


@pytest.fixture
def sink():
    return Sink()


@pytest.fixture
def writer(sink):
    writer = Writer(sink, lambda line: line.message.encode())
    yield writer
    sink.free.set()
    writer.close()


def line(text):
    return Told(at=0, severity="info", message=text, logger="broker.acme")


def test_lines_are_written_in_order_from_another_thread(writer, sink):
    for number in range(100):
        writer.add(line(str(number)))
    writer.close()

    assert sink.taken == [str(number).encode() for number in range(100)]
    assert sink.closed


def test_what_waits_is_written_together(writer, sink):
    sink.free.clear()
    writer.add(line("first"))
    sink.asked.acquire()
    for text in ("second", "third"):
        writer.add(line(text))
    sink.free.set()
    writer.close()

    assert sink.taken == [b"first", b"second", b"third"]
    assert not sink.asked.acquire(blocking=False) or not sink.asked.acquire(blocking=False)


def test_who_tells_never_waits_and_what_is_too_much_is_counted_and_told(writer, sink, caplog):
    sink.free.clear()
    writer.add(line("first"))
    sink.asked.acquire()
    for number in range(MOST_LINES + 7):
        writer.add(line(str(number)))
    assert writer.dropped == 7
    sink.free.set()
    writer.close()

    assert len(sink.taken) == 1 + MOST_LINES
    assert caplog.messages == [
        "the sink is too slow; lines are dropped",
        "the sink takes lines again; 7 were dropped",
    ]


def test_no_more_waits_than_there_is_room_for(writer, sink, monkeypatch, caplog):
    room = line("first").weight() + 4 * line("0").weight()
    monkeypatch.setattr(writer_module, "MOST_BYTES", room)
    sink.free.clear()
    writer.add(line("first"))
    sink.asked.acquire()  # it takes its room until it is written
    for number in range(6):
        writer.add(line(str(number)))
    assert writer.dropped == 2
    sink.free.set()
    writer.close()

    assert sink.taken == [b"first", b"0", b"1", b"2", b"3"]
    assert caplog.messages[-1] == "the sink takes lines again; 2 were dropped"


def test_what_was_written_before_an_error_is_not_counted_as_dropped(writer, sink, monkeypatch):
    def write(lines):
        sink.asked.release()
        sink.free.wait(WAIT)
        for text in lines:
            if text == b"lost":
                raise OSError(28, "No space left on device")
            yield 1

    monkeypatch.setattr(sink, "write", write)
    sink.free.clear()
    writer.add(line("first"))
    sink.asked.acquire()
    for text in ("second", "third", "lost", "lost"):  # which are written together
        writer.add(line(text))
    sink.free.set()
    writer.close()

    assert writer.dropped == 2


def test_what_there_is_no_room_for_is_told_once_and_counted_when_it_is_over(writer, sink, caplog):
    sink.fails = OSError(28, "No space left on device")
    for _ in range(2):
        writer.add(line("lost"))
        sink.done.acquire(timeout=WAIT)
    sink.fails = None
    writer.add(line("kept"))
    writer.close()

    assert sink.taken[-1:] == [b"kept"]
    assert caplog.messages == [
        "the sink takes no lines: [Errno 28] No space left on device; they are dropped",
        f"the sink takes lines again; {writer.dropped} were dropped",
    ]
    assert writer.dropped == 2


def test_the_end_does_not_wait_for_what_takes_nothing(writer, sink, monkeypatch):
    monkeypatch.setattr(writer_module, "CLOSE_SECONDS", 0)
    sink.free.clear()
    writer.add(line("stuck"))
    sink.asked.acquire()
    writer.close()

    assert not sink.closed


def test_a_line_that_cannot_be_rendered_is_dropped_and_the_others_are_written(sink, caplog):
    class Broken(Line):
        def fields(self):
            raise ZeroDivisionError

    writer = Writer(sink, lambda line: b"x" if line.fields() else b"")
    writer.add(Broken(at=0))
    writer.add(line("fine"))
    writer.close()

    assert sink.taken == [b"x"]
    assert writer.dropped == 1
