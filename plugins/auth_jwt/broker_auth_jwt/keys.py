"""The keys of a broker: one signs, and those that signed before it verify for a while."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from broker import Clock, ConfigError
from jwt.utils import base64url_encode

from broker_auth_jwt.config import Algorithm, AuthConfig
from broker_auth_jwt.keyfile import KeyFile, Keys
from broker_auth_jwt.stored_key import StoredKey, generate

logger = logging.getLogger("broker.plugins.auth_jwt")

_KID_ROUNDS = 200_000


class Key:
    """A key with the one algorithm that it is for (RFC 8725, section 3.1)."""

    def __init__(
        self,
        kid: str,
        algorithm: Algorithm,
        private: Any,
        *,
        public: dict[str, str] | None = None,
        verifies_until: int | None = None,
    ) -> None:
        self.kid = kid
        self.algorithm = algorithm
        self.private = private
        """Signs: bytes, or an object of cryptography."""
        self.verifying = private if isinstance(private, bytes) else private.public_key()
        self.public = public
        """The JWK for others; None if there is nothing that others may know."""
        self.verifies_until = verifies_until
        """Milliseconds UTC; None if that is not known to end."""

    def __repr__(self) -> str:
        return f"Key(kid={self.kid!r}, algorithm={self.algorithm!r})"


class KeyRing:
    """The keys by their ids: those of the key file, or the secrets of the config."""

    def __init__(self, config: AuthConfig, data_dir: Path, *, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._file = KeyFile(data_dir / config.keys)
        self._version: tuple[int, ...] | None = None
        self._keys: dict[str, Key] = {}
        self._signing: Key | None = None

    async def open(self) -> None:
        """Read the keys, and make what is missing; raises ConfigError, OSError."""
        await asyncio.to_thread(self._open)

    async def refresh(self) -> None:
        """Follow a change of the key file. One that cannot be used changes nothing and is logged.

        Called when something happened in the database of users: whoever rotates the keys notes
        that there.
        """
        if self._config.secret is not None or self._file.version() == self._version:
            return
        try:
            await asyncio.to_thread(self._read)
        except ConfigError as error:
            logger.warning("the keys stay what they were: %s", error)

    @property
    def signing(self) -> Key:
        """The key for new tokens."""
        assert self._signing is not None, "it is opened"
        return self._signing

    def find(self, kid: str) -> Key | None:
        """Return the key with an id, if it is known and its last token is not over."""
        key = self._keys.get(kid)
        if key is None or self._is_over(key):
            return None
        return key

    def public(self) -> dict[str, list[dict[str, str]]]:
        """Return the JWK Set by which others verify tokens; HMAC keys are in no such set."""
        known = [key for key in self._keys.values() if not self._is_over(key)]
        return {"keys": [key.public for key in known if key.public is not None]}

    def _is_over(self, key: Key) -> bool:
        return key.verifies_until is not None and key.verifies_until <= self._clock.now()

    def _open(self) -> None:
        if self._config.secret is not None:
            self._take(keys_of_secrets(self._config))
            return
        if not _sign_with(self._file.read(), self._config.algorithm):
            self._file.change(self._with_algorithm)
        self._read()

    def _with_algorithm(self, keys: Keys) -> Keys:
        # Another broker may have been faster.
        if _sign_with(keys, self._config.algorithm):
            return keys
        return rotated(keys, self._config, now=self._clock.now())

    def _read(self) -> None:
        # Remembered before: what is written meanwhile is read the next time, and what cannot be
        # used is complained of once.
        self._version = self._file.version()
        stored = self._file.read()
        if not stored:
            raise ConfigError(f"{self._file.path} is gone")
        try:
            self._take([_loaded(key) for key in stored])
        except ValueError as error:
            raise self._file.unusable(str(error)) from error

    def _take(self, keys: Iterable[Key]) -> None:
        """Use these keys from now on; the first one signs."""
        keys = list(keys)
        # In this order, and each at once: requests go on meanwhile.
        self._keys = {key.kid: key for key in keys}
        self._signing = keys[0]


def rotated(keys: Keys, config: AuthConfig, *, now: int) -> Keys:
    """Return the keys with a new one, which signs; those that are over are gone."""
    longest = max(config.access_seconds, config.refresh_seconds) + config.leeway_seconds
    # Rounded up to a second.
    over_at = -(-now // 1000) + longest
    kept = (key.ending(over_at) for key in keys if not key.is_over(now))
    return (generate(config.algorithm, now=now), *kept)


def keys_of_secrets(config: AuthConfig) -> list[Key]:
    """Return the keys that the config holds, the one that signs first."""
    assert config.secret is not None, "the caller looked"
    secrets = [config.secret, *config.previous_secrets]
    return [_key_of_secret(secret.get_secret_value(), config.algorithm) for secret in secrets]


def _sign_with(keys: Keys, algorithm: Algorithm) -> bool:
    return bool(keys) and keys[0].alg == algorithm


def _loaded(stored: StoredKey) -> Key:
    return Key(
        stored.kid,
        stored.alg,
        stored.load(),
        public=stored.public(),
        verifies_until=stored.verifies_until,
    )


def _key_of_secret(secret: str, algorithm: Algorithm) -> Key:
    key = secret.encode(errors="surrogateescape")
    # Brokers that share a secret, and one that is started again, must find the same id for it. An
    # id is shown in logs and lists, where no token is: it must not be a cheap test of guesses. So
    # it costs a hundred thousand times what the test by a token costs, which nobody can hinder.
    salt = f"kid of {algorithm} of replika-broker".encode()
    digest = hashlib.pbkdf2_hmac("sha256", key, salt, _KID_ROUNDS, dklen=16)
    return Key(base64url_encode(digest).decode(), algorithm, key)
