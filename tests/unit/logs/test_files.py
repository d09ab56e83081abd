import errno
import os
import stat

import pytest

from broker.logs.files import LogFile, list_files
from broker.testing import ManualClock

FIRST = "broker_log_20231114T221320000Z.json"
SECOND = "broker_log_20231114T221320001Z.json"


@pytest.fixture
def make(tmp_path):
    made = []

    def make(most=3, max_bytes=10):
        made.append(LogFile(tmp_path, most=most, max_bytes=max_bytes, now=ManualClock().now))
        return made[-1]

    yield make
    for one in made:
        one.close()


def write(file, lines):
    """How many lines were written."""
    return sum(file.write(lines))


def contents(directory):
    return [(directory / name).read_bytes() for name in reversed(list_files(directory))]


def test_lines_go_to_a_file_that_only_its_owner_may_read(make, tmp_path):
    write(make(), [b"one\n", b"two\n"])

    assert list_files(tmp_path) == [FIRST]
    assert (tmp_path / FIRST).read_bytes() == b"one\ntwo\n"
    assert stat.S_IMODE((tmp_path / FIRST).stat().st_mode) == 0o600


def test_nothing_is_made_before_there_is_something_to_write(make, tmp_path):
    make()

    assert list(tmp_path.iterdir()) == []


def test_a_full_file_is_followed_by_another_and_no_line_is_torn(make, tmp_path):
    file = make()
    write(file, [b"one\n", b"two\n", b"three\n"])
    write(file, [b"4\n"])

    assert contents(tmp_path) == [b"one\ntwo\n", b"three\n4\n"]


def test_the_oldest_go_when_there_are_too_many(make, tmp_path):
    write(make(), [b"%d23456789\n" % number for number in range(5)])

    assert contents(tmp_path) == [b"%d23456789\n" % number for number in (2, 3, 4)]


def test_a_line_that_is_longer_than_a_file_has_one_of_its_own(make, tmp_path):
    write(make(), [b"a\n", b"b" * 100 + b"\n", b"c\n"])

    assert contents(tmp_path) == [b"a\n", b"b" * 100 + b"\n", b"c\n"]


def test_the_next_run_goes_on_with_the_newest_file(make, tmp_path):
    before = make()
    write(before, [b"one\n"])
    before.close()
    write(make(), [b"two\n"])

    assert contents(tmp_path) == [b"one\ntwo\n"]


def test_a_line_that_a_kill_cut_off_is_ended(make, tmp_path):
    (tmp_path / FIRST).write_bytes(b"on")
    write(make(), [b"two\n"])

    assert contents(tmp_path) == [b"on\ntwo\n"]


def test_a_file_that_somebody_removed_is_begun_anew(make, tmp_path):
    file = make()
    write(file, [b"one\n"])
    (tmp_path / FIRST).unlink()
    write(file, [b"two\n"])

    assert contents(tmp_path) == [b"two\n"]


def test_names_stay_in_order_when_the_clock_is_set_back(make, tmp_path):
    late = "broker_log_20991231T235959999Z.json"
    (tmp_path / late).write_bytes(b"0123456789")
    write(make(), [b"one\n"])

    assert list_files(tmp_path)[1:] == [late]
    assert contents(tmp_path)[1] == b"one\n"


def test_one_process_at_a_time_writes(make, tmp_path):
    first, second = make(), make()
    write(first, [b"one\n"])
    with pytest.raises(BlockingIOError, match="another broker writes its log there"):
        write(second, [b"two\n"])
    first.close()
    write(second, [b"three\n"])

    assert contents(tmp_path) == [b"one\nthree\n"]


def test_a_link_is_not_followed(make, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious\n")
    (tmp_path / FIRST).symlink_to(elsewhere)
    with pytest.raises(FileExistsError):  # nor is it a name that is free
        write(make(), [b"one\n"])

    assert elsewhere.read_bytes() == b"precious\n"


def test_a_full_disk_leaves_no_half_line(make, tmp_path, monkeypatch):
    file = make(max_bytes=1000)
    write(file, [b"one\n"])
    write_all = os.write

    def write_a_little(descriptor, data):
        if len(data) > 2:
            return write_all(descriptor, data[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write_a_little)
    with pytest.raises(OSError, match="No space left"):
        write(file, [b"two\n"])
    assert contents(tmp_path) == [b"one\n"]
    monkeypatch.undo()
    write(file, [b"three\n"])
    assert contents(tmp_path) == [b"one\nthree\n"]


def test_what_is_written_is_told_when_the_rest_fails(make, tmp_path, monkeypatch):
    file = make(max_bytes=10)
    assert write(file, [b"one\n", b"two\n"]) == 2

    def begin_nothing(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    written = []
    monkeypatch.setattr(LogFile, "_begin", begin_nothing)
    with pytest.raises(OSError, match="No space left"):
        written += file.write([b"3\n", b"four\n"])
    assert (sum(written), contents(tmp_path)) == (1, [b"one\ntwo\n3\n"])


def test_only_what_is_called_like_a_log_and_is_a_file_is_listed(tmp_path):
    (tmp_path / FIRST).touch()
    (tmp_path / "broker.db").touch()
    (tmp_path / "broker_log_20231114T221320000Z.json.bak").touch()
    (tmp_path / "broker_log_x.json").touch()
    (tmp_path / SECOND).symlink_to(tmp_path / FIRST)
    (tmp_path / "broker_log_20231114T221320002Z.json").mkdir()

    assert list_files(tmp_path) == [FIRST]
    assert list_files(tmp_path / "nowhere") == []
