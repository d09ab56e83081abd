"""The URL of a Redis or Valkey, as people write it."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec
from pydantic import SecretStr

Way = Literal["tcp", "tls", "unix"]

SCHEMES: dict[str, Way] = {
    "redis": "tcp",
    "valkey": "tcp",
    "rediss": "tls",
    "valkeys": "tls",
    "unix": "unix",
    "redis+unix": "unix",
    "valkey+unix": "unix",
}
"""What a URL may begin with, and how one gets there then."""

OPTIONS: dict[Way, frozenset[str]] = {
    "tcp": frozenset(),
    "tls": frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}),
    "unix": frozenset({"db"}),
}
"""What may follow a `?`."""

EXPECTED = "expected redis://host:port/database, rediss://… or unix:///path"


class RedisUrl(msgspec.Struct, frozen=True):
    """What a URL says."""

    way: Way
    place: str
    """Where that is; it holds no secret."""
    options: dict[str, Any]
    """For a connection; among them the user name and the password."""


def check_redis_url(url: SecretStr) -> SecretStr:
    """Return a URL that `read_redis_url` understands; raises ValueError for any other."""
    read_redis_url(url.get_secret_value())
    return url


def read_redis_url(text: str) -> RedisUrl:
    """Read a URL; raises ValueError, whose text holds no part of it that may be secret."""
    scheme = text.partition("://")[0]
    if scheme.endswith(("+cluster", "+sentinel")):
        raise ValueError(
            f"events travel through one server, not a cluster or sentinels; {EXPECTED}"
        )
    try:
        url = urlsplit(text)
        way = SCHEMES[url.scheme]
        port = url.port or 6379
    except (KeyError, ValueError) as error:
        raise ValueError(EXPECTED) from error
    host = url.hostname or ""
    if url.fragment or "," in host or bool(host) == (way == "unix"):
        raise ValueError(EXPECTED)
    options = _options(url, way)
    if way == "unix":
        path = unquote(url.path)
        if path in ("", "/"):
            raise ValueError("expected the path of a socket: unix:///run/redis.sock")
        return RedisUrl(way, path, {**options, "path": path})
    database = _database(url.path.removeprefix("/"), "after the host, such as /0")
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return RedisUrl(way, place, {**options, "host": host, "port": port, "db": database})


def _options(url: SplitResult, way: Way) -> dict[str, Any]:
    options: dict[str, Any] = dict(parse_qsl(url.query, keep_blank_values=True))
    if options.keys() - OPTIONS[way]:
        allowed = ", ".join(sorted(OPTIONS[way])) or "nothing"
        raise ValueError(f"expected {allowed} after the ? of such a URL")
    if "db" in options:
        options["db"] = _database(options["db"], "after ?db=")
    if url.username:
        options["username"] = unquote(url.username)
    if url.password:
        options["password"] = unquote(url.password)
    return options


def _database(text: str, where: str) -> int:
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError(f"expected the number of a database {where}")
    return int(text or 0)
