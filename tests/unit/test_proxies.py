"""Whose request it is that a proxy passes on: header × peer × who is trusted."""

import pytest

from broker.addresses import read_proxies
from broker.proxies import FURTHEST, BehindProxies, _read

TRUSTED = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"]


async def peer_of(*lines, client="10.0.0.1", trusted=TRUSTED, kind="http"):
    """The address that the app sees of a request with these lines of X-Forwarded-For."""
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    headers = [(b"host", b"b"), *((b"x-forwarded-for", line.encode("latin1")) for line in lines)]
    scope = {"type": kind, "client": client and (client, 50_000), "headers": headers}
    given = dict(scope)
    await BehindProxies(app, [read_proxies(text) for text in trusted])(scope, None, None)

    assert scope == given  # it is the server's
    assert {**seen[0], "client": None} == {**given, "client": None}
    return seen[0]["client"] and seen[0]["client"][0]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("client", "lines", "peer"),
    [
        # Who is not trusted says nothing about addresses.
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1, 10.0.0.1"], "203.0.113.7"),
        ("203.0.113.7", ["10.0.0.1"], "203.0.113.7"),
        ("2001:db8::1", ["198.51.100.1"], "2001:db8::1"),
        # A proxy appends whom it was called by; what stood there before may be made up.
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["127.0.0.1, 198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["192.0.2.1, 198.51.100.1, 10.0.0.9, 10.0.0.8"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["192.0.2.1, 198.51.100.1", "10.0.0.9"], "198.51.100.1"),
        # All are trusted: one of them asks.
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["10.0.0.3", "10.0.0.2"], "10.0.0.3"),
        # What is no address is where knowledge ends.
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1,"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["198.51.100.1, , 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["198.51.100.1", "", "10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["198.51.100.1 10.0.0.2"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1:"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1:port"], "10.0.0.1"),
        ("10.0.0.1", ["[2001:db8::1"], "10.0.0.1"),
        ("10.0.0.1", ["[]:80"], "10.0.0.1"),
        ("10.0.0.1", ["for=198.51.100.1"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.\xb2"], "10.0.0.1"),
        # How proxies write addresses.
        ("10.0.0.1", ["198.51.100.1:567"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1:567, 10.0.0.2:80"], "198.51.100.1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.1", ["[2001:DB8::1]:567,fd00::2"], "2001:db8::1"),
        ("10.0.0.1", ["\t 198.51.100.1 \t,10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        # IPv4 that is mapped into IPv6, as sockets that take both have it; addresses with a zone.
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:203.0.113.7", ["198.51.100.1"], "::ffff:203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1, ::ffff:10.0.0.2"], "198.51.100.1"),
        ("fd00::1%eth0", ["198.51.100.1"], "198.51.100.1"),
        # No address: a socket in the file system, or none at all.
        ("/run/broker.sock", ["198.51.100.1"], "/run/broker.sock"),
        ("", ["198.51.100.1"], ""),
        (None, ["198.51.100.1"], None),
    ],
)
async def test_the_client_is_the_last_one_told_who_is_not_trusted(client, lines, peer, kind):
    assert await peer_of(*lines, client=client, kind=kind) == peer


async def test_nobody_is_trusted_who_is_not_named():
    assert await peer_of("198.51.100.1", trusted=[]) == "10.0.0.1"
    assert await peer_of("198.51.100.1", client="127.0.0.2", trusted=["127.0.0.1"]) == "127.0.0.2"


async def test_other_headers_say_nothing():
    async def app(scope, receive, send):
        assert scope["client"] == ("10.0.0.1", 0)
        assert scope["scheme"] == "http"

    headers = [
        (b"forwarded", b"for=198.51.100.1;proto=https"),
        (b"x-real-ip", b"198.51.100.1"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"example.com"),
    ]
    scope = {"type": "http", "scheme": "http", "client": ("10.0.0.1", 1), "headers": headers}
    await BehindProxies(app, [read_proxies("10.0.0.1")])(scope, None, None)


async def test_a_lifespan_has_no_client():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    await BehindProxies(app, [read_proxies("10.0.0.1")])({"type": "lifespan"}, None, None)

    assert seen == [{"type": "lifespan"}]


async def test_a_long_list_is_not_read_to_its_beginning(monkeypatch):
    read = []
    monkeypatch.setattr(
        "broker.proxies._read", lambda text, read_=_read: read.append(text) or read_(text)
    )

    assert await peer_of(",".join(["192.0.2.1"] * 10_000 + ["198.51.100.1"])) == "198.51.100.1"
    assert read == ["198.51.100.1"]
    assert await peer_of(",".join(["192.0.2.1", *["10.0.0.2"] * 10_000])) == "10.0.0.2"
    assert len(read) == 1 + FURTHEST
    assert await peer_of(*["10.0.0.2"] * 10_000) == "10.0.0.2"
    assert len(read) == 1 + 2 * FURTHEST
