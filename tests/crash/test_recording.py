"""The log of the tracer is read whole, and what it cannot tell ends the test."""

import pytest

from crash.recording import Create, Log, Rename, Send, Sync, Truncate, Unlink, Write


def read(*lines):
    log = Log("/disk")
    log.read([line.encode() + b"\n" for line in lines])
    return log.events


def test_calls_on_the_directory_are_events_and_others_are_not():
    assert read(
        r'1 openat(AT_FDCWD</home>, "/disk/a", O_RDWR|O_CREAT, 0600) = 3</disk/a>',
        r'1 openat(AT_FDCWD</home>, "/disk/a", O_RDWR|O_CREAT, 0600) = 4</disk/a>',
        r'1 openat(AT_FDCWD</home>, "/disk/b", O_RDWR) = -1 ENOENT (No such file or directory)',
        r'1 openat(AT_FDCWD</home>, "/else", O_RDWR|O_CREAT, 0600) = 5</else>',
        r'1 pwrite64(3</disk/a>, "\0x\"\n) = 9\377", 11, 4096) = 10',
        r'1 pwrite64(5</else>, "x", 1, 0) = 1',
        r"1 ftruncate(3</disk/a>, 3) = 0",
        r"1 fdatasync(3</disk/a>) = 0",
        r'1 rename("/disk/a", "/disk/b") = 0',
        r'1 unlink("/disk/b") = 0',
        r'1 mkdir("/disk/c", 0700) = 0',
        r"1 fsync(6</disk>) = 0",
        r"1 fsync(6</disk>) = -1 EIO (Input/output error)",
        r"1 +++ exited with 0 +++",
    ) == [
        Create("/disk/a"),
        Write("/disk/a", 4096, b'\0x"\n) = 9\xff'),
        Truncate("/disk/a", 3),
        Sync("/disk/a", 3),
        Rename("/disk/a", "/disk/b"),
        Unlink("/disk/b"),
        Create("/disk/c", is_directory=True),
        Sync("/disk", 7),
    ]


def test_an_fsync_covers_what_had_ended_when_it_began():
    assert read(
        r'1 pwrite64(3</disk/a>, "a", 1, 0) = 1',
        r"2 fsync(3</disk/a> <unfinished ...>",
        r'1 pwrite64(3</disk/a>, "b", 1, 0 <unfinished ...>',
        r"2 <... fsync resumed>) = 0",
        r"1 <... pwrite64 resumed>) = 1",
    ) == [Write("/disk/a", 0, b"a"), Sync("/disk/a", 1), Write("/disk/a", 0, b"b")]


def test_an_answer_stands_where_it_began_to_leave_with_what_left():
    client = "TCP:[127.0.0.1:8777->127.0.0.1:5000]"

    assert read(
        rf'1 sendto(4<{client}>, "HTTP/1.1 200", 12, 0, NULL, 0 <unfinished ...>',
        r"2 fsync(3</disk/a>) = 0",
        r"1 <... sendto resumed>) = 4",
        r'1 sendto(5<UNIX-STREAM:[1->2]>, "\0", 1, 0, NULL, 0) = 1',
    ) == [Send((1, 5000), b"HTTP"), Sync("/disk/a", 1)]


@pytest.mark.parametrize(
    "line",
    [
        r'1 write(3</disk/a>, "x", 1) = 1',
        r'1 renameat(AT_FDCWD</home>, "/disk/a", AT_FDCWD</home>, "/disk/b") = 0',
        r'1 sendmsg(4<TCP:[127.0.0.1:8777->127.0.0.1:5000]>, {msg_iov=[{iov_base="x"}]}, 0) = 1',
        r'1 unlink("a") = 0',
        r'1 openat(AT_FDCWD</home>, "/disk/a", O_RDWR|O_TRUNC) = 3</disk/a>',
    ],
)
def test_what_is_not_modelled_ends_the_test(line):
    with pytest.raises(AssertionError, match="not modelled"):
        read(line)


def test_what_a_log_says_about_the_directory_is_no_change_of_it():
    assert read(r'1 write(2</home/log.txt>, "/disk/a is gone", 15) = 15') == []
