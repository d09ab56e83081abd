"""Behind proxies: who asks is whom the trusted ones name, and nobody else has a say in it."""

import json

import httpx
import pytest
import quart
from served import HTTP_SERVERS, Served

from broker import create_app

PROXY = "10.0.0.1"


CHEAP = """
    from functools import partial
    from broker_auth_jwt import parts, passwords
    from pwdlib import PasswordHash
    from pwdlib.hashers.argon2 import Argon2Hasher
    from broker import hookimpl

    @hookimpl
    def provide_observer(plugin):
        return None

    cheap = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
    passwords.NOBODY = cheap.hash("nobody")
    parts.Passwords = partial(passwords.Passwords, cheap)
"""
"""As the fixture `cheap_passwords`, in another process."""


@pytest.fixture(params=HTTP_SERVERS)
def start(request, tmp_path, site, install, monkeypatch):
    """Start a broker that trusts these proxies; its clients are at 127.0.0.1."""
    install("cheap", CHEAP)
    monkeypatch.setenv("PYTHONPATH", str(site.directory))
    running = []

    def start(*trusted):
        running.append(
            Served(
                tmp_path,
                plugins=["cheap", "auth_jwt"],
                anonymous="false",
                http_server=request.param,
                trusted_proxies=list(trusted),
            )
        )
        return running[0]

    yield start
    running[0].end()


def fail(served, count, *forwarded):
    """Fail to log in, each time as another user; return the statuses. The lines say for whom the
    request is passed on, `{}` in them is a number that is another each time."""
    found = []
    with httpx.Client(timeout=60) as client:
        for number in range(count):
            headers = [("x-forwarded-for", line.format(number)) for line in forwarded]
            form = {"username": f"user{number}", "password": "wrong password"}
            answer = client.post(f"{served.url}/login", data=form, headers=headers)
            found.append(answer.status_code)
    return found


def peers(served):
    lines = (served.directory / "audit.jsonl").read_text().splitlines()
    return {json.loads(line)["peer"] for line in lines}


ALL_BUT_20 = [401] * 20 + [429]


def test_h6_a_stranger_s_forged_headers_do_not_help(start):
    served = start("10.0.0.0/8")

    assert fail(served, 21, "198.51.100.{}", "10.0.0.1") == ALL_BUT_20

    assert "127.0.0.1" in peers(served)
    assert not any(peer.startswith("198.51.100.") for peer in peers(served))


def test_h6_behind_a_trusted_proxy_each_client_is_an_address(start):
    served = start("127.0.0.1")

    assert fail(served, 21, "198.51.100.{}") == [401] * 21

    assert peers(served) >= {f"198.51.100.{number}" for number in range(21)}


def test_h6_behind_a_trusted_proxy_a_client_is_limited_whatever_it_forges(start):
    served = start("127.0.0.0/8")

    assert fail(served, 21, "198.51.100.{}", "127.0.0.1, 203.0.113.1:{}") == ALL_BUT_20


def test_h6_the_addresses_of_a_64_are_one_client(start):
    served = start("127.0.0.1")

    assert fail(served, 21, "2001:db8:0:1::{}") == ALL_BUT_20
    assert fail(served, 1, "2001:db8:0:2::1") == [401]


@pytest.fixture
def limited(serve):
    """A broker behind a proxy, that lets an address publish once a day."""
    limit = {"rate": "1/day", "activities": ["publish"], "key": "address"}
    broker = serve(
        plugins=["memory", "ratelimit"],
        tables={"ratelimit": {"limits": {"publish": limit}}},
        server={"trusted_proxies": [PROXY]},
        anonymous=True,
    )
    assert broker("POST", "/queues", json={"name": "q"}).status == 201
    return broker


def test_what_is_limited_by_address_is_limited_by_the_client_s(limited):
    def publish(forwarded, peer=PROXY):
        headers = {"X-Forwarded-For": forwarded}
        path = "/queues/q/messages"
        return limited("POST", path, json={"content": "x"}, headers=headers, client=peer).status

    assert publish("192.0.2.1") == 201
    assert publish("192.0.2.1") == 429
    assert publish("192.0.2.2") == 201
    assert publish("192.0.2.3, 192.0.2.2") == 429
    assert publish("192.0.2.4", peer="192.0.2.2") == 429
    assert publish("192.0.2.4", peer="192.0.2.5") == 201


async def test_an_app_in_a_server_of_one_s_own_believes_the_same_proxies():
    server = {"trusted_proxies": [PROXY]}
    app = create_app({"server": server, "broker": {"anonymous": True}})

    @app.get("/peer")
    async def peer():
        return quart.request.remote_addr

    headers = {"X-Forwarded-For": "192.0.2.1"}
    async with app.test_app() as running:
        for client, expected in [(PROXY, "192.0.2.1"), ("203.0.113.7", "203.0.113.7")]:
            scope = {"client": (client, 50_000)}
            answer = await running.test_client().get("/peer", headers=headers, scope_base=scope)
            assert await answer.get_data(as_text=True) == expected
