"""The certificate that a server shows."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from broker.errors import ConfigError

if TYPE_CHECKING:
    from broker.config import Config


class Certificate(msgspec.Struct, frozen=True):
    """A certificate, with those that lead to its authority, and its key: PEM files."""

    chain: Path
    key: Path


def certificate_of(config: Config) -> Certificate | None:
    """Return the certificate that the config names; raises ConfigError if it is of no use."""
    chain, key = config.server.tls_certificate, config.server.tls_key
    if chain is None or key is None:
        return None  # the config has both or neither
    _check_readable("tls_certificate", chain)
    _check_readable("tls_key", key)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(chain)
    except ssl.SSLError as error:
        raise ConfigError(f"server.tls_certificate: {chain} holds no PEM certificate") from error
    try:
        # The password is not the right one: without any, OpenSSL would ask on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key, password="")
    except ssl.SSLError as error:
        raise ConfigError(f"server.tls_key: {_problem(error, chain, key)}") from error
    return Certificate(chain, key)


def _check_readable(name: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise ConfigError(f"server.{name}: {path} cannot be read: {error.strerror}") from error


def _problem(error: ssl.SSLError, chain: Path, key: Path) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{key} is not the key of the certificate in {chain}"
    if error.reason is None:
        return f"{key} holds no PEM key without a password"
    return f"{key} and {chain} are refused: {error.reason.lower().replace('_', ' ')}"
