"""The tokens that logins leave behind, each broker's in a file that nobody else can read."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from broker.errors import ConfigError


class Tokens(msgspec.Struct, frozen=True):
    """What a login at a broker is worth, and until when the access token is good."""

    user: str
    access_token: str
    refresh_token: str
    expires_at: float
    """Seconds since 1970."""

    def __repr__(self) -> str:
        return f"Tokens(user={self.user!r}, expires_at={self.expires_at!r})"


class TokenFile:
    """Where the tokens of one broker are kept.

    It is replaced as a whole, so that a reader needs no lock. Whoever wants to replace what it
    read holds the lock from before it reads. A file or a directory that others can read, or that
    is somebody else's, is refused with ConfigError.
    """

    def __init__(self, url: str) -> None:
        self._folder = _config_home() / "replika-broker"
        self.path = self._folder / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"

    def read(self) -> Tokens | None:
        """Return the tokens, None if there are none."""
        try:
            with self._opened_folder() as folder:
                descriptor = _open(self.path, os.O_RDONLY, folder)
                with os.fdopen(descriptor, "rb") as file:
                    _refuse_foreign(descriptor, self.path)
                    return msgspec.json.decode(file.read(), type=Tokens)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None  # also for a daemon whose home is nowhere, or not its own
        except msgspec.DecodeError as error:
            quoted = shlex.quote(str(self.path))
            problem = f"{self.path} does not hold the tokens of a login; remove it: rm {quoted}"
            raise ConfigError(problem) from error

    def write(self, tokens: Tokens) -> None:
        """Keep these tokens; they are on disk when this returns."""
        partial = self.path.with_suffix(f".{secrets.token_hex(8)}")
        with self._opened_folder() as folder:
            descriptor = _open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(msgspec.json.encode(tokens))
                    file.flush()
                    os.fsync(descriptor)
                os.replace(partial.name, self.path.name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(partial.name, dir_fd=folder)
                raise
            os.fsync(folder)

    def remove(self) -> None:
        """Forget the tokens, if there are any."""
        with suppress(FileNotFoundError), self._opened_folder() as folder:
            os.unlink(self.path.name, dir_fd=folder)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other command replace the tokens while the block runs; waits for those that do."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._opened_folder() as folder:
            # A file of its own: the other one is replaced, and a lock is held on what was opened.
            descriptor = _open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, folder)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)

    @contextmanager
    def _opened_folder(self) -> Iterator[int]:
        """Open the directory; names are looked up in what was checked, wherever its path leads."""
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _refuse_foreign(descriptor, self._folder)
            yield descriptor
        finally:
            os.close(descriptor)


def _config_home() -> Path:
    """Return where a person's programs keep their configs, by the XDG base directory rules."""
    named = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    if named.is_absolute():
        return named
    try:
        return Path("~/.config").expanduser()
    except RuntimeError:
        return Path(os.devnull)  # a user without a home: nothing is found below that


def _open(path: Path, flags: int, folder: int) -> int:
    """Open a file of the opened directory, and never what a link leads to."""
    try:
        return os.open(path.name, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        problem = f"{path} is a link, and tokens are kept in plain files; remove it"
        raise ConfigError(f"{problem}: rm {shlex.quote(str(path))}") from error


def _refuse_foreign(descriptor: int, path: Path) -> None:
    """Raise ConfigError if others can read what is open, or if it is theirs."""
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid():
        raise ConfigError(
            f"{path} belongs to somebody else; set XDG_CONFIG_HOME to a directory of your own"
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        only = "700" if stat.S_ISDIR(status.st_mode) else "600"
        raise ConfigError(
            f"{path} keeps tokens, and others may use it (mode {mode:04o}): "
            f"chmod {only} {shlex.quote(str(path))}; if anybody else works here, log in anew"
        )
