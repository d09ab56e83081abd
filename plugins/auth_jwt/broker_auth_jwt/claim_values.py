"""Looking up values in the claims of a token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def claim_values(claims: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yield the texts that a claim holds: the members of a list, the words of a string.

    A dot in the path leads into an object. A key that has dots itself, as in the claim
    `https://example.com/roles`, is found too: the longest key that is there is the one that is
    meant.
    """
    found = _lookup(claims, path.split("."))
    if isinstance(found, str):
        yield from found.split()
    elif isinstance(found, list):
        yield from (member for member in found if isinstance(member, str))


def _lookup(found: Any, parts: list[str]) -> Any:
    if not parts:
        return found
    if isinstance(found, Mapping):
        for end in range(len(parts), 0, -1):
            key = ".".join(parts[:end])
            if key in found:
                return _lookup(found[key], parts[end:])
    return None
