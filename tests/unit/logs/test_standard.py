import errno
import os
import threading

import pytest

from broker.logs.standard import Standard


@pytest.fixture
def pipe():
    """A pipe: what is read from it, and a file that writes to it."""
    ours, theirs = os.pipe()
    file = open(theirs, "w")
    yield ours, file
    os.close(ours)
    file.close()


def test_lines_are_written_as_they_are(pipe):
    ours, file = pipe

    assert sum(Standard(file).write([b"one\n", b"two\n"])) == 2
    assert os.read(ours, 100) == b"one\ntwo\n"


@pytest.mark.parametrize(("written", "begun"), [(0, 0), (1, 1), (4, 1), (5, 2), (11, 3)])
def test_a_line_that_is_begun_is_ended_the_next_time(pipe, monkeypatch, written, begun):
    ours, file = pipe
    standard = Standard(file)
    write = os.write
    left = [written]

    def write_a_little(descriptor, data):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[: left.pop() or left.append(0)])

    monkeypatch.setattr(os, "write", write_a_little)
    counts = []
    with pytest.raises(OSError, match="No space left"):
        for count in standard.write([b"one\n", b"two\n", b"three\n"]):
            counts.append(count)
            left.append(0)
    monkeypatch.undo()
    counts.append(sum(standard.write([b"four\n"])))

    lines = [b"one\n", b"two\n", b"three\n"][:begun]
    assert os.read(ours, 100) == b"".join([*lines, b"four\n"])
    assert sum(counts) == begun + 1


def test_a_file_that_takes_nothing_now_is_waited_for(pipe):
    ours, file = pipe
    os.set_blocking(file.fileno(), False)
    text = b"a" * 99 + b"\n"
    counts = []
    thread = threading.Thread(
        target=lambda: counts.extend(Standard(file).write([text] * 10_000)), daemon=True
    )
    thread.start()
    read = 0
    while read < 10_000 * len(text):
        read += len(os.read(ours, 65_536))
    thread.join()

    assert sum(counts) == 10_000
