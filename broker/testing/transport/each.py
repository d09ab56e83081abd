"""Running a test once for each of the probes that it is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest

from broker.testing.transport.probe import Probe

AnyTest = TypeVar("AnyTest", bound=Callable[..., Any])

_EACH = "_contract_each"


def each(lack: str, chosen: Callable[[Probe], bool]) -> Callable[[AnyTest], AnyTest]:
    """Run the test with each of the chosen probes; skip it if there is none, for a `lack` of one
    that "publishes", say."""

    def mark(test: AnyTest) -> AnyTest:
        setattr(test, _EACH, (lack, chosen))
        return test

    return mark


def runs_of(test: Callable[..., Any], probes: Sequence[Probe]) -> list[Any]:
    """Return the runs of a test, as pytest's parameters."""
    lack, chosen = getattr(test, _EACH)
    found = [
        pytest.param(probe, id=probe.name or probe.request) for probe in filter(chosen, probes)
    ]
    skip = pytest.mark.skip(reason=f"no probe {lack}")
    return found or [pytest.param(None, id="none", marks=skip)]


every = each("was given", lambda _: True)
known = each("needs credentials", lambda probe: not probe.public)
public = each("is public", lambda probe: probe.public)
permitted = each("needs a permission", lambda probe: probe.action is not None)
permitted_with_a_queue = each(
    "needs a permission with a queue",
    lambda probe: probe.action is not None and probe.queue is not None,
)
unpermitted = each("needs no permission", lambda probe: probe.action is None and not probe.public)
spending = each("spends", lambda probe: probe.spends)
free = each("is free", lambda probe: not probe.spends)
storing = each(
    "needs the storage before it is answered", lambda probe: probe.stores and not probe.streams
)
storeless = each("does without the storage", lambda probe: not probe.stores and not probe.streams)
publishing = each("publishes", lambda probe: probe.action == "publish")
leasing = each("leases", lambda probe: probe.leases)
leasing_at_once = each("is answered by leases", lambda probe: probe.leases and not probe.streams)
leaseless = each(
    "is about a queue that it leases nothing of",
    lambda probe: not probe.leases and probe.queue is not None and probe.is_there,
)
streaming = each("streams", lambda probe: probe.streams)
streaming_leases = each("streams leases", lambda probe: probe.streams and probe.leases)
permitted_streaming = each(
    "streams what needs a permission",
    lambda probe: probe.streams and probe.action is not None,
)
whole = each("is answered at once", lambda probe: not probe.streams)
