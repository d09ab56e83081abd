"""Who could reach the broker, and what they could do or overhear."""

from __future__ import annotations

from collections.abc import Iterator

from broker.config import Config
from broker.doctor.finding import Finding, error, ok, warning
from broker.errors import ConfigError
from broker.safety import is_loopback, refuse_open_door
from broker.serving import server_named


def look_at_the_door(config: Config) -> Iterator[Finding]:
    """Look at who may come in, and whether others can listen."""
    host = config.server.host
    try:
        refuse_open_door(config, insecure=False)
    except ConfigError as refused:
        yield error("anonymous", "broker.anonymous", str(refused))
    else:
        yield ok("anonymous", "broker.anonymous", "not everybody on the network may do everything")
    if is_loopback(host):
        yield ok("plain-http", "server.host", f"only this machine reaches {host}")
    elif config.server.tls is None and not config.server.trusted_proxies:
        text = f"plain HTTP at {host}: others on the way can read passwords, tokens and messages"
        yield warning("plain-http", "server.tls", text)
    else:
        how = "TLS" if config.server.tls is not None else "a proxy in front"
        yield ok("plain-http", "server.tls", f"{how} keeps others from reading what is sent")


def look_at_http_server(config: Config) -> Iterator[Finding]:
    """Look at what speaks HTTP."""
    name = config.server.http_server
    try:
        server_named(name)
    except ConfigError as refused:
        remedy = f"pip install 'replika-broker[{name}]'"
        yield error("http-server", "server.http_server", str(refused), remedy)
        return
    if name == "granian" and not is_loopback(config.server.host):
        text = (
            "granian keeps a client that says nothing after the TLS handshake, or over HTTP/2, for "
            "as long as it likes, and of a message of a WebSocket up to 64 MiB"
        )
        remedy = (
            "where strangers reach the broker, put a proxy in front, or set "
            'server.http_server = "hypercorn"'
        )
        yield warning("http-server", "server.http_server", text, remedy)
    else:
        yield ok("http-server", "server.http_server", f"{name} is installed")
