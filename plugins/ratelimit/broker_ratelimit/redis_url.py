"""The URL of a Redis or Valkey, as people write it."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec
from pydantic import SecretStr

TLS = {"redis": False, "valkey": False, "rediss": True, "valkeys": True}
"""What a URL may begin with, and whether TLS is spoken then."""

PORTS = {"": 6379, "unix": 0, "cluster": 6379, "sentinel": 26379}
"""What may follow that after a `+`, and the port that is meant where none is written."""

TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
UNIX_OPTIONS = frozenset({"db"})

EXPECTED = (
    "expected redis://host:port/database, rediss://…, redis+unix:///path, "
    "redis+cluster://host:port,host:port or redis+sentinel://host:port,host:port/service"
)


class RedisUrl(msgspec.Struct, frozen=True):
    """What a URL says."""

    tls: bool
    kind: str
    hosts: tuple[tuple[str, int], ...]
    path: str
    options: dict[str, Any]
    """For the client; among them the user name and the password."""

    @property
    def place(self) -> str:
        """Return where that is; it holds no secret."""
        hosts = (
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts
        )
        return ",".join(hosts) + self.path

    @property
    def uri(self) -> str:
        """Return what `limits` calls that, without options."""
        # It wants another client library where "valkey" is written, and knows TLS by name only
        # where nothing else follows.
        scheme = f"redis+{self.kind}" if self.kind else "rediss" if self.tls else "redis"
        return f"async+{scheme}://{self.place}"


def check_redis_url(url: SecretStr) -> SecretStr:
    """Return a URL that `read_redis_url` understands; raises ValueError for any other."""
    read_redis_url(url.get_secret_value())
    return url


def read_redis_url(text: str) -> RedisUrl:
    """Read a URL; raises ValueError, whose text holds no part of it that may be secret."""
    try:
        url = urlsplit(text)
        name, _, kind = url.scheme.partition("+")
        tls, port = TLS[name], PORTS[kind]
        hosts = _hosts(url.netloc.rpartition("@")[2], port)
    except (KeyError, ValueError) as error:
        raise ValueError(EXPECTED) from error
    if url.fragment or bool(hosts) == (kind == "unix") or (tls and kind == "unix"):
        raise ValueError(EXPECTED)
    if kind == "" and len(hosts) > 1:
        raise ValueError("several hosts are for redis+cluster:// and redis+sentinel://")
    _check_path(kind, url.path.removeprefix("/"))
    return RedisUrl(tls, kind, hosts, url.path, _options(url, tls=tls, kind=kind))


def _hosts(text: str, default_port: int) -> tuple[tuple[str, int], ...]:
    hosts = [urlsplit(f"//{part}") for part in text.split(",")] if text else []
    if not all(host.hostname for host in hosts):
        raise ValueError(EXPECTED)
    return tuple((host.hostname or "", host.port or default_port) for host in hosts)


def _check_path(kind: str, name: str) -> None:
    if kind == "" and not (name == "" or _is_number(name)):
        raise ValueError("expected the number of a database after the host, such as /0")
    if kind == "unix" and not name:
        raise ValueError("expected the path of a socket: redis+unix:///run/redis.sock")
    if kind == "cluster" and name not in ("", "0"):
        raise ValueError("a cluster has no databases: expected nothing after the hosts")
    if kind == "sentinel" and (not name or "/" in name):
        raise ValueError("expected the name of a service: redis+sentinel://host:port/service")


def _options(url: SplitResult, *, tls: bool, kind: str) -> dict[str, Any]:
    known = TLS_OPTIONS if tls else UNIX_OPTIONS if kind == "unix" else frozenset[str]()
    options: dict[str, Any] = dict(parse_qsl(url.query, keep_blank_values=True))
    if options.keys() - known:
        allowed = ", ".join(sorted(known)) or "nothing"
        raise ValueError(f"expected {allowed} after the ? of such a URL")
    if not _is_number(options.get("db", "0")):
        raise ValueError("expected the number of a database after ?db=")
    if url.username:
        options["username"] = unquote(url.username)
    if url.password:
        options["password"] = unquote(url.password)
        if kind == "sentinel":
            # By this name a sentinel that asks for no password takes any; without it, none.
            options.setdefault("username", "default")
    if tls and kind:
        options["ssl"] = True
    return options


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
