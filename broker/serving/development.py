"""A certificate for trying HTTPS on one's own machine: made once, kept in two private files."""

from __future__ import annotations

import fcntl
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import msgspec

from broker.config import DEV_CERTIFICATE, DEV_KEY
from broker.errors import ConfigError
from broker.serving.certificate import Certificate

LIFE = timedelta(days=365)
RENEWAL = timedelta(days=30)
"""A certificate that has no more left is replaced."""
SLACK = timedelta(hours=1)
"""How far behind the clock of a client may be."""

_HOST_NAME = re.compile(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")


class DevelopmentCertificate(msgspec.Struct, frozen=True):
    """A self-signed certificate for this machine's own names."""

    files: Certificate
    expires_at: datetime
    is_new: bool


def find_or_make(
    directory: Path, *, force: bool = False, now: datetime | None = None
) -> DevelopmentCertificate:
    """Return the certificate of a directory; make one if none there lasts, or by force.

    Raises ConfigError without the library that makes certificates, OSError if the directory
    cannot be read or written.
    """
    with _alone_in(directory):
        found = None if force else find(directory, now=now)
        return found or _make(directory, now or datetime.now(UTC))


def find(directory: Path, *, now: datetime | None = None) -> DevelopmentCertificate | None:
    """Return the certificate of a directory if it has one that lasts; raises the same."""
    selfsigned = _library()
    files = _files(directory)
    try:
        pair = selfsigned.SelfSigned(files.chain.read_bytes(), files.key.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read: {error.strerror}") from error
    validity = pair.validity()
    if validity is None or not validity[0] <= (now or datetime.now(UTC)) < validity[1] - RENEWAL:
        return None
    return DevelopmentCertificate(files, validity[1], is_new=False)


def own_names() -> list[str]:
    """Return the names and addresses by which this machine calls itself."""
    host = socket.gethostname()
    hosts = ["localhost", host] if _HOST_NAME.fullmatch(host) else ["localhost"]
    return [*dict.fromkeys(hosts), "127.0.0.1", "::1"]


def _make(directory: Path, now: datetime) -> DevelopmentCertificate:
    since, until = now - SLACK, now + LIFE
    pair = _library().sign(own_names(), since=since, until=until)
    files = _files(directory)
    _write(files.key, pair.key)
    _write(files.chain, pair.certificate)
    return DevelopmentCertificate(files, until, is_new=True)


def _library() -> ModuleType:
    try:
        from broker.serving import selfsigned  # noqa: PLC0415  # imports what an extra installs
    except ImportError as error:
        raise ConfigError(
            "a certificate for development is made by the library cryptography, which is not "
            "installed; install it with: pip install 'replika-broker[tls]'"
        ) from error
    return selfsigned


def _files(directory: Path) -> Certificate:
    return Certificate(directory / DEV_CERTIFICATE, directory / DEV_KEY)


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Let one process at a time make a pair of files; how the other's end up, it sees then."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes) -> None:
    """Give a file its name when it is whole and on the disk; nobody else may ever read it."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)  # of one that was killed
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(partial, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
