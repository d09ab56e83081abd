"""What authenticators ask clients for: in `WWW-Authenticate`, and in the API documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from broker.auth import Authenticator, schemes_of
from broker.errors import PluginError
from broker.operations.believing import check_challenge, check_security

T = TypeVar("T")
Named = Sequence[tuple[str, Authenticator]]


def challenges_of(authenticators: Named) -> Iterator[str]:
    """Return what each asks for that asks for anything; raises PluginError."""
    for name, authenticator in authenticators:
        if challenge := _believed(name, "challenge", authenticator.challenge, check_challenge):
            yield challenge


def describe_all(authenticators: Named) -> dict[str, Mapping[str, Any]]:
    """Return the Security Scheme Objects of OpenAPI for what all of them take, by their names;
    raises PluginError."""
    described: dict[str, Mapping[str, Any]] = {}
    for name, authenticator in authenticators:
        _believed(name, "challenge", authenticator.challenge, check_challenge)
        _believed(name, "security", authenticator.security, check_security)
    # What is told of a scheme says more than what only its name implies.
    for _, authenticator in sorted(authenticators, key=lambda named: bool(named[1].security)):
        described |= describe(authenticator)
    return described


def describe(authenticator: Authenticator) -> Mapping[str, Mapping[str, Any]]:
    """Return the Security Scheme Objects of one: those that it tells, or else those of the schemes
    in its challenge."""
    return authenticator.security or {
        scheme: {"type": "http", "scheme": scheme}
        for scheme in sorted(schemes_of(authenticator.challenge))
    }


def _believed(plugin: str, what: str, told: T, check: Callable[[T], None]) -> T:
    try:
        check(told)
    except TypeError as error:
        raise PluginError(plugin, f"its authenticator's {what}: {error}") from error
    return told
