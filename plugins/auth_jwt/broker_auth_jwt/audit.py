"""The audit log: who did what to whom, when, and from where."""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from broker import Clock, ConfigError, Event, EventKind, Observer, timestamp

from broker_auth_jwt.files import leave_to_owner

logger = logging.getLogger("broker.plugins.auth_jwt")

Action = Literal[
    "login.ok",
    "login.failed",
    "login.limited",
    "refresh.reused",
    "logout",
    "user.added",
    "user.disabled",
    "user.enabled",
    "user.password",
    "user.granted",
    "user.revoked",
    "token.created",
    "token.revoked",
    "key.rotated",
    "queue.deleted",
    "queue.purged",
]

TIMES = frozenset({"at", "expires_at"})
LONGEST_TEXT = 256
MOST_ITEMS = 64

# Does not wait for the reader of a pipe that somebody put there.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW


class Details(TypedDict, total=False):
    """What a line may tell beside who, what, when and from where.

    None of it is a password, a token, a hash or a key, and no other name is taken, so that no
    secret gets in by mistake.
    """

    user: str
    """Whom it was done to, if that is not who did it."""
    grants: Collection[str]
    """The roles and scopes that were given or taken."""
    session: str
    """The id of a login, which opens nothing."""
    token_id: str
    """The id of a service token: what stands before its dot."""
    token_name: str
    """The name of a service token."""
    key_id: str
    """The `kid` of a signing key."""
    expires_at: int | None
    """When that ends which was made, in milliseconds UTC."""
    queue: str
    count: int
    """How many messages, or sessions."""


class Audit(Observer):
    """Appends to a file, a JSON object a line, as several processes may do at once.

    The file is opened for each line, so one that was rotated away is followed by a new one, and
    a line is a single write, so none is torn by another. When it reaches the disk is up to the
    system: a power cut can take the last lines.
    """

    in_loop = True
    kinds: frozenset[EventKind] = frozenset({"queue.deleted", "queue.purged"})

    def __init__(self, path: Path, *, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._is_failing = False
        self._end_of_cut = b""
        """What ends the line before, if the disk was full within it."""

    async def open(self) -> None:
        """Make the file, unless it is there; raises ConfigError if it cannot be written."""
        try:
            os.close(_open(self._path))
        except OSError as error:
            raise ConfigError(
                f"plugins.auth_jwt.audit: cannot write {self._path}: {error.strerror}; "
                "name a file that the broker may write"
            ) from error

    def record(
        self, action: Action, *, subject: str, peer: str = "", **details: Unpack[Details]
    ) -> None:
        """Write one line: `subject` did this, from the address `peer`.

        A line that cannot be written is an error in the log, and breaks nothing else.
        """
        if unknown := details.keys() - Details.__annotations__.keys():
            raise TypeError(f"an audit line does not tell {', '.join(sorted(unknown))}")
        self._write(self._clock.now(), action, subject, peer, details)

    def notify(self, events: Sequence[Event]) -> None:
        """Write who deleted or purged a queue: seldom, and in microseconds, so on the loop."""
        for event in events:
            if event.kind == "queue.deleted":
                details = Details(queue=event.queue)
            elif event.kind == "queue.purged":
                details = Details(queue=event.queue, count=event.count)
            else:
                continue
            self._write(event.at, event.kind, event.subject, event.peer, details)

    def _write(
        self, at: int, action: Action, subject: str, peer: str, details: Mapping[str, object]
    ) -> None:
        line = {"at": at, "action": action, "subject": subject, "peer": peer, **details}
        # json escapes all but printable ASCII: nothing in a line ends it, or commands a terminal.
        text = json.dumps({name: _told(name, value) for name, value in line.items()})
        problem = self._append(text.encode() + b"\n")
        if problem and not self._is_failing:
            logger.error("cannot write the audit log %s: %s", self._path, problem)
        self._is_failing = problem is not None

    def _append(self, line: bytes) -> str | None:
        """Write a line; return why it could not be, or not wholly."""
        line = self._end_of_cut + line
        try:
            file = _open(self._path)
            try:
                written = os.write(file, line)
            finally:
                os.close(file)
        except OSError as error:
            return error.strerror
        self._end_of_cut = b"" if line[:written].endswith(b"\n") else b"\n"
        return None if written == len(line) else os.strerror(errno.ENOSPC)


def _told(name: str, value: object) -> object:
    """Return a value as a line tells it; what clients wrote could be of any length."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "…"
    if isinstance(value, Collection):
        return [_told(name, item) for item in sorted(value)[:MOST_ITEMS]]
    if isinstance(value, int) and name in TIMES:
        return timestamp(value)
    return value


def _open(path: Path) -> int:
    """Open the file, or make it. Never through a link, which may lead root to a file of its own."""
    while True:
        try:
            file = os.open(path, _FLAGS)
        except FileNotFoundError:
            try:
                file = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                continue  # another process was faster
            leave_to_owner(file, path.parent)
        return file
