"""What clients are told to show: by `WWW-Authenticate`, and by the API documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broker.auth import Authenticator, read_credentials, schemes_of
from broker.http import Request
from broker.operations.believing import check_challenge, check_security
from broker.operations.schemes import describe
from broker.testing.authenticator.bench import AuthenticatorBench
from broker.testing.contract import needs

Scheme = Mapping[str, Any]
"""A Security Scheme Object of OpenAPI."""


class Asking:
    """The rows about `challenge` and `security`, which have to be about the same."""

    async def test_the_challenge_asks_for_what_is_taken(self, bench: AuthenticatorBench) -> None:
        challenge = bench.authenticator.challenge
        check_challenge(challenge)
        scheme = (await bench.valid()).scheme
        if ":" not in scheme:  # of the header Authorization
            asked = schemes_of(challenge)
            assert scheme in asked, f'`challenge` is "{challenge}", and "{scheme}" is taken'

    async def test_the_documentation_tells_of_what_the_challenge_asks_for(
        self, bench: AuthenticatorBench
    ) -> None:
        told, challenge = _told(bench.authenticator), bench.authenticator.challenge
        asked = schemes_of(challenge)
        named = {name for scheme in told for name in _named(scheme, asked)}
        assert named == asked, f'`challenge` is "{challenge}", and `security` tells of {told}'

    @needs("read")
    async def test_the_documentation_tells_of_what_is_read_elsewhere(
        self, bench: AuthenticatorBench
    ) -> None:
        sample = await bench.sample()
        if isinstance(sample, Request) and read_credentials(sample) is None:
            told = _told(bench.authenticator)
            carried = [scheme for scheme in told if _carries(sample, scheme)]
            assert carried, f"`security` tells where none of it is: {told}"


def _told(authenticator: Authenticator) -> list[Scheme]:
    check_security(authenticator.security)
    return list(describe(authenticator).values())


def _named(scheme: Scheme, asked: frozenset[str]) -> frozenset[str]:
    """Return which schemes of the header Authorization, of those asked for, it is about."""
    match scheme:
        case {"type": "http", "scheme": name}:
            return frozenset({name.lower()})
        case {"type": "oauth2" | "openIdConnect"}:
            return frozenset({"bearer"})
        case {"type": "apiKey", "in": "header", "name": name} if name.lower() == "authorization":
            return asked  # which of them OpenAPI has no words for
    return frozenset()


def _carries(request: Request, scheme: Scheme) -> bool:
    """Tell whether there is something in a request where a scheme says."""
    match scheme:
        case {"type": "apiKey", "in": "header", "name": name}:
            return name.lower() in request.headers
        case {"type": "apiKey", "in": "query", "name": name}:
            return name in request.query
        case {"type": "apiKey", "in": "cookie", "name": name}:
            return f"{name}=" in request.headers.get("cookie", "")
    return bool(scheme["type"] == "mutualTLS")
