"""What stands around a transport that is tested: providers that do as they are told, and remember
what they were asked."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

from broker.auth import Action, Authenticator, Authorizer, Credentials, Identity
from broker.builtin.memory.storage import MemoryStorage
from broker.errors import InvalidToken
from broker.extend import Interceptor
from broker.hookspecs import hookimpl
from broker.models import NewMessage
from broker.ratelimit import Allowance, RateLimiter, Spending
from broker.storage import CAPABILITIES, Capability
from broker.testing.recorder import Recorder

RETRY_AFTER = 7
"""After how many seconds the limiter lets those come again whom it refuses."""

OPERATIONS = (
    "put_queue",
    "get_queues",
    "drop_queue",
    "publish",
    "lease",
    "settle",
    "browse",
    "browse_each",
    "bulk",
)


class Faulty:
    """Raises what it is told to, whatever it is asked for."""

    fault: Exception | None = None

    def fail(self) -> None:
        """Raise the fault, if there is one."""
        if self.fault is not None:
            raise self.fault


class StubAuthenticator(Faulty, Authenticator):
    """Knows whose the tokens are; every other one is bad."""

    def __init__(self) -> None:
        self.subjects: dict[str, str] = {}
        self.asked: list[Credentials] = []

    async def authenticate(self, credentials: Credentials) -> Identity | None:
        self.asked.append(credentials)
        self.fail()
        if credentials.scheme != "bearer":
            return None
        if credentials.token not in self.subjects:
            raise InvalidToken
        return Identity(subject=self.subjects[credentials.token], peer=credentials.peer)


class StubAuthorizer(Faulty, Authorizer):
    """Permits what was granted: an action with a queue, or with any if the queue is None; and
    everything to an admin, and to who is anonymous."""

    def __init__(self) -> None:
        self.granted: defaultdict[str, set[tuple[Action, str | None]]] = defaultdict(set)
        self.asked: list[tuple[Identity, Action, str | None]] = []

    def permits(self, identity: Identity, action: Action, queue: str | None) -> bool:
        self.asked.append((identity, action, queue))
        self.fail()
        granted = self.granted[identity.subject]
        return _is_admin(identity) or not granted.isdisjoint({(action, queue), (action, None)})

    def permits_some(self, identity: Identity, action: Action) -> bool:
        self.asked.append((identity, action, None))
        self.fail()
        granted = {granted for granted, _ in self.granted[identity.subject]}
        return _is_admin(identity) or action in granted


def _is_admin(identity: Identity) -> bool:
    return identity.is_anonymous or "admin" in identity.scopes


class StubRateLimiter(Faulty, RateLimiter):
    """Lets everybody pass until it is `spent`."""

    def __init__(self) -> None:
        self.is_spent = False
        self.asked: list[Spending] = []

    async def spend(self, spendings: Sequence[Spending]) -> Allowance:
        self.asked += spendings
        self.fail()
        return Allowance(allowed=not self.is_spent, retry_after=RETRY_AFTER, refused_by="kit")


class StubInterceptor(Faulty, Interceptor):
    """Passes every batch on as it is."""

    async def before_publish(
        self,
        identity: Identity,  # noqa: ARG002  # nobody's batch is changed
        batch: Sequence[NewMessage],
    ) -> Sequence[NewMessage]:
        self.fail()
        return batch


def _watched(operation: str) -> Any:
    async def watched(self: StubStorage, *args: Any, **options: Any) -> Any:
        self.asked.append(operation)
        self.fail()
        answer = await getattr(MemoryStorage, operation)(self, *args, **options)
        self.was_asked.set()
        await self.released.wait()
        return answer

    return watched


def _watch_all(cls: type[StubStorage]) -> type[StubStorage]:
    for operation in OPERATIONS:
        setattr(cls, operation, _watched(operation))
    return cls


@_watch_all
class StubStorage(Faulty, MemoryStorage):
    """Keeps messages in memory, and declares whatever a transport may require; `held`, it answers
    nobody until it is `released`."""

    everything: ClassVar[frozenset[Capability]] = frozenset(CAPABILITIES)

    def __init__(self, capabilities: frozenset[Capability] = everything) -> None:
        super().__init__()
        self.capabilities = capabilities  # type: ignore[misc]  # of this one, not of the class
        self.asked: list[str] = []
        self.was_asked = asyncio.Event()
        self.released = asyncio.Event()
        self.released.set()

    async def watch(self) -> AsyncIterator[str]:
        """Tell of nothing: no other process has a part in this."""
        await asyncio.Event().wait()
        yield ""


class Doubles:
    """One of each, as a plugin."""

    everything = StubStorage.everything
    """What the storage declares."""

    def __init__(self, *, capabilities: frozenset[Capability] = everything) -> None:
        self.storage = StubStorage(capabilities)
        self.authenticator = StubAuthenticator()
        self.authorizer = StubAuthorizer()
        self.limiter = StubRateLimiter()
        self.interceptor = StubInterceptor()
        self.observer = Recorder()

    def forget(self) -> None:
        """Forget what was asked until now."""
        for double in (self.storage, self.authenticator, self.authorizer, self.limiter):
            double.asked.clear()
        self.storage.was_asked.clear()
        self.observer.events.clear()

    @hookimpl
    def provide_storage(self) -> StubStorage:
        return self.storage

    @hookimpl
    def provide_authenticator(self) -> StubAuthenticator:
        return self.authenticator

    @hookimpl
    def provide_authorizer(self) -> StubAuthorizer:
        return self.authorizer

    @hookimpl
    def provide_rate_limiter(self) -> StubRateLimiter:
        return self.limiter

    @hookimpl
    def provide_interceptor(self) -> StubInterceptor:
        return self.interceptor

    @hookimpl
    def provide_observer(self) -> Recorder:
        return self.observer
