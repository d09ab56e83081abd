"""The audit log: what a line tells, what never breaks it, and what it never breaks."""

import json
import logging
import os
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker import ConfigError, Event
from broker.testing import ManualClock
from broker_auth_jwt.audit import Audit, Details

AT = "2023-11-14T22:13:20.000Z"
"""What the manual clock shows."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def audit(path: Path) -> Audit:
    return Audit(path, clock=ManualClock())


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_tells_who_did_what_when_and_from_where(audit: Audit, path: Path) -> None:
    audit.record("login.ok", subject="ada", peer="203.0.113.7", session="s1")

    assert path.read_text() == (
        f'{{"at": "{AT}", "action": "login.ok", "subject": "ada", "peer": "203.0.113.7", '
        '"session": "s1"}\n'
    )


def test_a_command_of_this_machine_has_no_address(audit: Audit, path: Path) -> None:
    audit.record("user.granted", subject="root", user="ada", grants={"producer", "read:*"})

    [line] = read(path)
    assert line == {
        "at": AT,
        "action": "user.granted",
        "subject": "root",
        "peer": "",
        "user": "ada",
        "grants": ["producer", "read:*"],
    }


@pytest.mark.parametrize(
    ("expires_at", "told"), [(1_700_000_000_500, "2023-11-14T22:13:20.500Z"), (None, None)]
)
def test_an_end_is_told_as_a_time(
    audit: Audit, path: Path, expires_at: int | None, told: str | None
) -> None:
    audit.record("token.created", subject="root", token_id="t1", expires_at=expires_at)

    assert read(path)[0]["expires_at"] == told


@pytest.mark.parametrize("name", ["password", "token", "refresh_token", "secret", "key", "hash"])
def test_there_is_no_place_for_a_secret(audit: Audit, path: Path, name: str) -> None:
    with pytest.raises(TypeError, match=f"an audit line does not tell {name}"):
        audit.record("login.failed", subject="ada", **{name: "hunter2"})

    assert not path.exists()
    assert name not in Details.__annotations__


@pytest.mark.parametrize(
    "text",
    [
        'x\n{"action": "login.ok", "subject": "root"}',
        "x\r\n\x00\x1b[2J\x7f\x9b31m",
        "\u2028 \u202e \ud800",
        '"}',
    ],
)
def test_nothing_in_a_value_ends_a_line_or_commands_a_terminal(
    audit: Audit, path: Path, text: str
) -> None:
    audit.record("login.failed", subject=text, peer=text, user=text)

    written = path.read_text("ascii")
    assert written[:-1].isprintable()
    [line] = read(path)
    assert [line["subject"], line["peer"], line["user"]] == [text, text, text]


def test_a_value_of_any_length_makes_a_line_of_a_bounded_one(audit: Audit, path: Path) -> None:
    audit.record("login.failed", subject="é" * 256, user="é" * 100_000, grants=["\n" * 1000] * 1000)

    [line] = read(path)
    assert line["subject"] == "é" * 256
    assert line["user"] == "é" * 256 + "…"
    assert line["grants"] == ["\n" * 256 + "…"] * 64
    assert path.stat().st_size < 40_000


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_file_is_made_for_its_owner_alone(audit: Audit, path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        audit.record("login.ok", subject="ada")
    finally:
        os.umask(before)

    assert path.stat().st_mode & 0o777 == 0o600


def test_the_mode_that_somebody_gave_it_stays(audit: Audit, path: Path) -> None:
    path.touch(0o640)

    audit.record("login.ok", subject="ada")

    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_is_for_the_owner_of_the_directory(audit: Audit, path: Path) -> None:
    os.chown(path.parent, 4711, 4712)

    audit.record("user.added", subject="root", user="ada")

    assert (path.stat().st_uid, path.stat().st_gid) == (4711, 4712)


@pytest.mark.parametrize("rotate", [lambda path: path.rename(f"{path}.1"), Path.unlink])
def test_a_file_that_was_rotated_away_is_followed_by_a_new_one(
    audit: Audit, path: Path, rotate: object
) -> None:
    audit.record("login.ok", subject="ada")
    rotate(path)

    audit.record("logout", subject="ada")

    assert [line["action"] for line in read(path)] == ["logout"]
    assert path.stat().st_mode & 0o777 == 0o600


WRITER = """
import sys
from pathlib import Path
from broker import Clock
from broker_auth_jwt.audit import Audit
audit = Audit(Path(sys.argv[1]), clock=Clock())
for number in range(500):
    audit.record("login.failed", subject=sys.argv[2] * 250, count=number)
"""


def test_processes_that_write_at_once_do_not_tear_lines(path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, name]) for name in "abcd"]
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]

    lines = read(path)
    for name in "abcd":
        own = [line["count"] for line in lines if line["subject"] == name * 250]
        assert own == list(range(500))
    assert len(lines) == 2000


def test_a_full_disk_is_logged_once_and_breaks_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    audit = Audit(Path("/dev/full"), clock=ManualClock())

    audit.record("login.ok", subject="ada")
    audit.record("login.ok", subject="bob")

    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "cannot write the audit log /dev/full: No space left on device"


@contextmanager
def room_for(size: int):
    """Let files grow to this size only: a write beyond it is cut short."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_disk_that_is_full_again_is_logged_again(
    audit: Audit, caplog: pytest.LogCaptureFixture
) -> None:
    with room_for(0):
        audit.record("login.ok", subject="ada")
    audit.record("login.ok", subject="ada")
    with room_for(0):
        audit.record("login.ok", subject="ada")

    assert len(caplog.records) == 2


def test_no_link_is_followed(
    audit: Audit, path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    audit.record("login.ok", subject="ada")
    (tmp_path / "elsewhere").touch()
    audit.record("login.ok", subject="ada")

    assert (tmp_path / "elsewhere").read_text() == ""
    assert caplog.messages == [
        f"cannot write the audit log {path}: Too many levels of symbolic links"
    ]


def test_a_line_that_a_full_disk_cut_does_not_spoil_the_next(
    audit: Audit, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    audit.record("login.ok", subject="ada")
    with room_for(path.stat().st_size + 10):
        audit.record("login.ok", subject="bob")

    audit.record("login.ok", subject="eve")

    first, cut, last = path.read_text().splitlines()
    assert (json.loads(first)["subject"], len(cut)) == ("ada", 10)
    assert json.loads(last)["subject"] == "eve"
    assert len(caplog.records) == 1


async def test_a_file_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "no" / "audit.jsonl", clock=ManualClock())

    with pytest.raises(ConfigError) as refused:
        await audit.open()

    assert str(refused.value) == (
        f"plugins.auth_jwt.audit: cannot write {tmp_path}/no/audit.jsonl: No such file or "
        "directory; name a file that the broker may write"
    )


async def test_opening_makes_an_empty_file(audit: Audit, path: Path) -> None:
    await audit.open()

    assert path.read_bytes() == b""


async def test_opening_leaves_what_is_there(audit: Audit, path: Path) -> None:
    path.write_text("{}\n")

    await audit.open()

    assert path.read_text() == "{}\n"


def test_a_pipe_without_a_reader_holds_nobody(
    audit: Audit, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(path)

    audit.record("login.ok", subject="ada")

    assert len(caplog.records) == 1


def event(kind: str, **fields: object) -> Event:
    known = {"queue": "q", "at": 1_700_000_000_250, "subject": "ada", "peer": "203.0.113.7"}
    return Event(kind=kind, **{**known, **fields})


def test_of_what_happens_to_queues_deleting_and_purging_are_written(
    audit: Audit, path: Path
) -> None:
    kinds = [
        "queue.created",
        "queue.updated",
        "queue.deleted",
        "queue.purged",
        "queue.redriven",
        "message.published",
        "message.leased",
        "message.deleted",
        "maintenance.done",
    ]

    audit.notify([event(kind, count=7) for kind in kinds])

    who = {"at": "2023-11-14T22:13:20.250Z", "subject": "ada", "peer": "203.0.113.7", "queue": "q"}
    assert read(path) == [
        {**who, "action": "queue.deleted"},
        {**who, "action": "queue.purged", "count": 7},
    ]
