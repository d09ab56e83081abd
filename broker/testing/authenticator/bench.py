"""The bench of the authenticator contract: an authenticator, a clock, and whoever comes along."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeAlias

import pytest
from msgspec.structs import replace

from broker.auth import Authenticator, Credentials, Identity, read_credentials
from broker.errors import Unauthenticated, Unavailable
from broker.http import Request
from broker.testing.clock import ManualClock
from broker.testing.opening import ProviderBench

Sample: TypeAlias = Credentials | Request
"""Credentials, or a request that carries some."""

Answer: TypeAlias = Identity | Unauthenticated | Unavailable | None

PEER = "192.0.2.1"

NOBODYS = "x-nobodys"
"""A scheme."""

STRANGE: tuple[Sample, ...] = (
    Credentials(scheme=NOBODYS, token=NOBODYS),
    Request(method="POST", path="/", headers={"content-type": "application/json"}, body=b"{}"),
)
"""What no authenticator takes for its own."""


class Samples(Protocol):
    """What the author of an authenticator tells of it."""

    call_seconds: ClassVar[float]

    async def valid(self, authenticator: Authenticator) -> Sample: ...
    async def bad(self, authenticator: Authenticator) -> Mapping[str, Sample]: ...
    async def foreign(self, authenticator: Authenticator) -> Sequence[Sample]: ...


class AuthenticatorBench(ProviderBench[Authenticator]):
    """Asks an authenticator what the broker would, and fails the test at an answer that the
    broker does not know."""

    def __init__(
        self, make: Callable[[], Authenticator], clock: ManualClock, samples: Samples
    ) -> None:
        super().__init__(make)
        self.clock = clock
        self.authenticator = self.provider
        self._samples = samples

    async def sample(self) -> Sample:
        """Return something valid, as the author says."""
        valid: Sample = await self._awaited("valid")
        return valid

    async def valid(self) -> Credentials:
        """Return valid credentials."""
        credentials = self.find(await self.sample())
        assert credentials is not None, "what `valid` returns carries no credentials"
        return credentials

    async def bad(self) -> Mapping[str, Sample]:
        """Return what is bad, by the name of what is wrong with it."""
        bad: Mapping[str, Sample] = await self._awaited("bad")
        assert bad, "`bad` has to name at least one kind of bad credentials"
        return bad

    async def foreign(self) -> Sequence[Sample]:
        """Return what is somebody else's."""
        return (*STRANGE, *await self._awaited("foreign"))

    async def _awaited(self, name: str) -> Any:
        given = getattr(self._samples, name)(self.authenticator)
        if not inspect.isawaitable(given):
            pytest.fail(f"{name} must be async def", pytrace=False)
        return await given

    def find(self, sample: Sample) -> Credentials | None:
        """Return the credentials of a sample as the broker finds them; raises Unauthenticated."""
        if isinstance(sample, Credentials):
            return replace(sample, peer=PEER)
        if not isinstance(sample, Request):
            pytest.fail(
                f"{sample!r} is no sample: neither Credentials nor a Request", pytrace=False
            )
        request = replace(sample, peer=PEER)
        found = read_credentials(request) or self.authenticator.read(request)
        if inspect.iscoroutine(found):
            found.close()
        if found is not None and not isinstance(found, Credentials):
            pytest.fail(f"read returned {type(found).__name__}, neither Credentials nor None")
        return found

    async def ask(self, sample: Sample, of: Authenticator | None = None) -> Answer:
        """Return the answer to a sample, None also if it carries no credentials."""
        authenticator = of or self.authenticator
        try:
            credentials = self.find(sample)
            if credentials is None:
                return None
            async with asyncio.timeout(self._samples.call_seconds):
                answer = await authenticator.authenticate(credentials)
        except (Unauthenticated, Unavailable) as refusal:
            return refusal
        except TimeoutError as error:
            raise AssertionError("it did not answer in time") from error
        except Exception as error:
            raise AssertionError(f"it raised {type(error).__name__}, a 503: {error}") from error
        if answer is not None and not isinstance(answer, Identity):
            pytest.fail(f"it returned {type(answer).__name__}, neither Identity nor None")
        return answer

    async def identify(self, sample: Sample) -> Identity:
        """Return whose a sample is, which has to be somebody's."""
        answer = await self.ask(sample)
        assert isinstance(answer, Identity), f"valid credentials were answered {answer!r}"
        return answer


def is_refused(answer: Answer) -> bool:
    """Tell whether an answer says "mine, and bad"."""
    return isinstance(answer, Unauthenticated)
