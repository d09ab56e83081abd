"""The contract of transports, kept by the routes that give tokens."""

import broker_auth_jwt

from broker.testing import Probe, TransportContract

FORM = {"content-type": "application/x-www-form-urlencoded"}


class TestLoginTransport(TransportContract):
    """What proves who asks at `/login`, `/refresh` and `/logout` is this plugin's own, so that
    nobody whom the kit knows gets further than to a 401."""

    plugin = broker_auth_jwt
    config = {"algorithm": "HS256", "secret": "Zq3vK8sWn1xR5tYb7mLc2pHd9fGj4aUe"}
    probes = (
        Probe(
            request="POST /login",
            body="username=alice&password=nobody%20knows",
            headers=FORM,
            public=True,
            status=401,
            stores=False,
        ),
        Probe(request="POST /refresh", status=401, spends=False, stores=False),
        Probe(request="POST /logout", status=401, spends=False, stores=False),
        Probe(request="GET /me", spends=False, stores=False),
        Probe(request="GET /.well-known/jwks.json", public=True, spends=False, stores=False),
    )
    expected_failures = {
        f"test_an_authenticator_that_fails_lets_nobody_pass[{request}]": (
            "what ends or renews a login is known to this plugin alone; no authenticator is asked"
        )
        for request in ("POST /refresh", "POST /logout")
    }

    def make_transport(self, broker, plugin):
        return broker_auth_jwt.provide_transport(plugin, broker)
