"""A certificate and its key, in files, and when they are of no use."""

from __future__ import annotations

import shlex
import ssl
import stat
from pathlib import Path

import msgspec

from broker.errors import ConfigError

OPEN_TO_OTHERS = 0o027
"""A key with one of these bits is refused; its group may read it, for keys that root hands out."""


class Certificate(msgspec.Struct, frozen=True):
    """A certificate, with those that lead to its authority, and its key: PEM files."""

    chain: Path
    key: Path

    def check(self, *, chain_named: str, key_named: str) -> None:
        """Raise ConfigError, with the name of the file at fault, if a server could not use it."""
        _check_readable(chain_named, self.chain)
        _check_readable(key_named, self.key)
        _check_private(key_named, self.key)
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(self.chain)
        except ssl.SSLError as error:
            raise ConfigError(f"{chain_named}: {self.chain} holds no PEM certificate") from error
        try:
            # The password is not the right one: without any, OpenSSL would ask on the terminal.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.chain, self.key, password="")
        except ssl.SSLError as error:
            raise ConfigError(f"{key_named}: {self._problem(error)}") from error

    def _problem(self, error: ssl.SSLError) -> str:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"{self.key} is not the key of the certificate in {self.chain}"
        if error.reason is None:
            return f"{self.key} holds no PEM key without a password"
        reason = error.reason.lower().replace("_", " ")
        return f"{self.key} and {self.chain} are refused: {reason}"


def _check_readable(name: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{name}: {path} cannot be read: {error.strerror}") from error


def _check_private(name: str, path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & OPEN_TO_OTHERS:
        raise ConfigError(
            f"{name}: others may read or change {path} (its mode is {mode:04o}); "
            f"run: chmod 600 {shlex.quote(str(path))}"
        )
