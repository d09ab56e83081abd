"""What is wrong with a URL, as the answers from there tell."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from redis import exceptions

MISTAKES = (
    (exceptions.AuthenticationError, "", "refuses the user name or the password"),
    (exceptions.NoPermissionError, "", "does not permit this user what events need"),
    (exceptions.ResponseError, "ACL failure", "does not permit this user what events need"),
    (exceptions.InvalidResponse, r"\x15", "speaks TLS: write rediss://"),
    (exceptions.InvalidResponse, "", "answers, but not as Redis or Valkey does"),
    (exceptions.MovedError, "", "is a node of a cluster; events travel through one server"),
    (exceptions.ResponseError, "unknown command", "is no server that events can travel through"),
    (exceptions.ResponseError, "DB index", "has no such database"),
    (exceptions.ResponseError, "WRONGTYPE", "holds something else there; set redis_prefix"),
    (ssl.SSLError, "WRONG_VERSION_NUMBER", "does not speak TLS: write redis://"),
    (ssl.SSLCertVerificationError, "", "shows a certificate that is not trusted"),
)
"""Kinds of errors, what their text says, and what is wrong then, with the remedy."""


def mistake(error: BaseException) -> str | None:
    """Return what is wrong with a URL, from the error that came of it; None for what may pass by
    itself."""
    for cause in _causes(error):
        for kind, words, problem in MISTAKES:
            if isinstance(cause, kind) and words in str(cause):
                return f"{problem} ({cause})"
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
