"""What plugins answer the gate: whatever is not exactly what was asked for lets nobody in. Each
raises TypeError for it."""

from __future__ import annotations

import math
import re
from collections.abc import Coroutine, Mapping
from types import NoneType
from typing import Any

from broker.auth import Credentials, Identity
from broker.ratelimit import Allowance, Quota
from broker.wording import shown

_CHALLENGE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+([ ,][ -~]*[!-~])?)?")


def check_challenge(challenge: str) -> None:
    """Check what an authenticator asks for."""
    if type(challenge) is not str or not _CHALLENGE.fullmatch(challenge):
        raise TypeError(f"expected a scheme, perhaps with parameters; got {shown(challenge)}")


def check_security(security: Mapping[str, Mapping[str, Any]]) -> None:
    """Check what an authenticator tells the API documentation of its credentials."""
    if not isinstance(security, Mapping) or not all(
        type(name) is str and isinstance(scheme, Mapping) and type(scheme.get("type")) is str
        for name, scheme in security.items()
    ):
        raise TypeError(f"expected Security Scheme Objects by their names; got {shown(security)}")


def check_credentials(credentials: Credentials) -> None:
    """Check what an authenticator read in a request."""
    if not (
        isinstance(credentials, Credentials)
        and type(credentials.scheme) is str
        and type(credentials.token) is str
        and type(credentials.payload) is bytes
    ):
        raise _unlike("credentials", credentials)


def check_identity(identity: Identity) -> None:
    """Check whom an authenticator recognised."""
    if not (
        isinstance(identity, Identity)
        and type(identity.subject) is str
        and type(identity.scopes) is frozenset
        and type(identity.peer) is str
        and type(identity.expires_at) in (int, NoneType)
        and type(identity.is_anonymous) is bool
    ):
        raise _unlike("identity", identity)


def yes_or_no(answer: object) -> bool:
    """Return the answer of an authorizer. What is only true in some sense permits nothing: a
    coroutine always would."""
    if answer is True:
        return True
    if answer is False:
        return False
    if isinstance(answer, Coroutine):
        answer.close()  # or it would be reported as never awaited
    raise TypeError(f"returned neither True nor False: {type(answer).__name__}")


def check_allowance(allowance: Allowance) -> None:
    """Check what a rate limiter allows, and tells of its limits."""
    if not (
        isinstance(allowance, Allowance)
        and type(allowance.allowed) is bool
        and type(allowance.quotas) is tuple
        and all(map(_is_quota, allowance.quotas))
        and (allowance.retry_after is None or 0 <= allowance.retry_after < math.inf)
        and type(allowance.refused_by) in (str, NoneType)
    ):
        raise _unlike("allowance", allowance)


def _is_quota(quota: object) -> bool:
    # It has looked at its name and its time when it was made.
    return isinstance(quota, Quota) and (
        type(quota.limit) is type(quota.window_seconds) is type(quota.remaining) is int
    )


def _unlike(what: str, answer: object) -> TypeError:
    return TypeError(f"returned no {what} as it should be: {type(answer).__name__}")
