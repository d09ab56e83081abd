"""Tokens of another issuer, by a broker that asks it for its keys."""

import json
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from foreign_issuer import Signer
from guarded import Guarded

ISSUER = "https://id.example.com/realms/acme"


class Jwks(BaseHTTPRequestHandler):
    """Publishes the keys of its server."""

    def do_GET(self):
        body = json.dumps({"keys": self.server.keys}).encode()
        self.server.asked += 1
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def issuer():
    """A JWK Set over HTTP: change its `keys`; how often it was `asked`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Jwks) as server:
        server.keys, server.asked = [], 0
        thread = Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def broker(serve, issuer, cheap_passwords):
    issuer.keys = [Signer("one").jwk()]
    table = {
        "name": "keycloak",
        "issuer": ISSUER,
        "jwks_url": f"http://127.0.0.1:{issuer.server_address[1]}/certs",
        "audience": "replika-broker",
        "claims": ["realm_access.roles"],
        "grants": {"order-writer": ["publish:orders-*"]},
    }
    broker = Guarded(
        serve(plugins=["memory", "auth_jwt"], tables={"auth_jwt": {"issuers": [table]}})
    )
    broker.add("alice", "admin")
    alice, _ = broker.tokens("alice")
    for queue in ("orders-eu", "bills"):
        assert broker("POST", "/queues", alice, json={"name": queue}).status == 201
    return broker


def token(broker, signer="one", algorithm="RS256", *roles):
    claims = {
        "iss": ISSUER,
        "aud": ["account", "replika-broker"],
        "sub": "f2b7",
        "iat": broker.now // 1000,
        "exp": broker.now // 1000 + 300,
        "realm_access": {"roles": list(roles)},
    }
    return Signer(signer, algorithm).sign(claims)


def publish(broker, text, queue="orders-eu"):
    return broker("POST", f"/queues/{queue}/messages", text, json={"content": "x"}).status


def test_a_role_of_the_issuer_gives_what_is_mapped_and_nothing_else(broker):
    writer = token(broker, "one", "RS256", "order-writer", "admin")

    assert publish(broker, writer) == 201
    assert publish(broker, writer, "bills") == 404
    assert broker("GET", "/queues/orders-eu/messages/consume", writer).status == 403
    assert broker("GET", "/me", writer).json["subject"] == "keycloak:f2b7"
    assert publish(broker, token(broker, "one", "RS256", "admin")) == 404
    assert broker("POST", "/logout", writer).status == 409
    assert broker.refresh(writer).status == 401


def test_the_token_ends_when_its_key_is_withdrawn(broker, issuer):
    writer = token(broker, "one", "RS256", "order-writer")
    assert publish(broker, writer) == 201
    issuer.keys = [Signer("two").jwk()]
    broker.server.advance(31)  # past the cooldown

    assert publish(broker, token(broker, "two", "RS256", "order-writer")) == 201
    assert publish(broker, writer) == 401


def test_the_token_goes_on_when_its_key_is_only_told_otherwise(broker, issuer):
    writer = token(broker, "one", "RS256", "order-writer")
    assert publish(broker, writer) == 201
    issuer.keys = [Signer("one").jwk(alg=None), Signer("two").jwk()]
    broker.server.advance(31)

    assert publish(broker, token(broker, "two", "RS256", "order-writer")) == 201
    assert publish(broker, writer) == 201


def test_a_thousand_forged_tokens_cost_one_fetch(broker, issuer):
    assert publish(broker, token(broker, "one", "RS256", "order-writer")) == 201
    asked = issuer.asked
    broker.server.advance(31)
    real = token(broker, "unknown", "RS256", "order-writer")
    forged = [f"{real[:-12]}{number:09}{real[-3:]}" for number in range(1000)]

    answers = {publish(broker, text) for text in forged}

    assert answers == {401}
    assert issuer.asked == asked + 1
