"""What stands before every operation: who asks, how much they asked, what they may do."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from typing import Literal

from broker.auth import (
    QUEUE_ACTIONS,
    Action,
    Authenticator,
    Authorizer,
    Credentials,
    Identity,
    read_credentials,
    schemes_of,
)
from broker.deadlines import TimeLimit
from broker.errors import (
    BrokerError,
    Forbidden,
    InvalidToken,
    QueueNotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from broker.http import Request
from broker.isolation import Failures, is_from_outside
from broker.meter import Counter
from broker.operations.believing import (
    check_allowance,
    check_credentials,
    check_identity,
    yes_or_no,
)
from broker.operations.schemes import challenges_of
from broker.ratelimit import Activity, RateLimiter, Spending
from broker.turn import CURRENT_TURN

ANONYMOUS_SCOPES = frozenset({"admin"})

PATIENCE_SECONDS = 5.0
"""How long an authenticator may take to say who asks, and a rate limiter to count."""


class Gate:
    """Identify, spend, permit. Whatever fails unexpectedly fails closed, as a 503."""

    def __init__(
        self,
        *,
        authenticators: Sequence[tuple[str, Authenticator]],
        authorizer: tuple[str, Authorizer],
        limiter: tuple[str, RateLimiter] | None,
        anonymous: bool,
        failures: Failures,
        rejected: Counter,
        credentials_refused: Counter,
    ) -> None:
        self._authenticators = tuple(authenticators)
        self._readers = tuple(named for named in authenticators if _reads(named[1]))
        self._authorizer_name, self._authorizer = authorizer
        self._limiter = limiter
        self._anonymous = anonymous
        asked_for = ", ".join(dict.fromkeys(challenges_of(authenticators)))
        self.challenge = asked_for or Authenticator.challenge
        """What all authenticators together ask for; something, for a 401 has to name a scheme."""
        self._takes_bearer = "bearer" in schemes_of(asked_for)
        self._failures = failures
        self._rejected = rejected
        self._credentials_refused = credentials_refused
        self._patience = TimeLimit(PATIENCE_SECONDS)

    def read(self, request: Request) -> Credentials | None:
        """Return the credentials that came with a request, None if it has none of any kind."""
        credentials = read_credentials(request)
        if credentials is not None:
            return credentials
        for name, authenticator in self._readers:
            try:
                credentials = authenticator.read(request)
                if credentials is not None:
                    check_credentials(credentials)
            except (Unauthenticated, Unavailable):
                raise
            except BaseException as error:
                raise self._failed(name, "authenticate", error) from error
            if credentials is not None:
                return credentials
        return None

    async def identify(self, credentials: Credentials | None, *, peer: str) -> Identity:
        """Return who asks. Credentials that nobody accepts never become anonymous."""
        if credentials is None:
            if self._anonymous:
                return Identity(
                    subject="anonymous", scopes=ANONYMOUS_SCOPES, peer=peer, is_anonymous=True
                )
            raise Unauthenticated(challenge=self.challenge)
        try:
            return await self._recognize(credentials)
        except Unauthenticated:
            self._credentials_refused.add()
            raise

    async def _recognize(self, credentials: Credentials) -> Identity:
        for name, authenticator in self._authenticators:
            try:
                identity = await self._patience.wait(authenticator.authenticate(credentials))
                if identity is not None:
                    check_identity(identity)
            except (Unauthenticated, Unavailable):
                raise
            except BaseException as error:
                if is_from_outside(error):
                    raise
                raise self._failed(name, "authenticate", error) from error
            if identity is not None:
                return identity
        if credentials.scheme == "bearer" and self._takes_bearer:
            raise InvalidToken
        problem = "no enabled plugin accepts credentials of this kind"
        raise Unauthenticated(problem, challenge=self.challenge)

    async def spend(
        self, identity: Identity, activity: Activity, queue: str | None, cost: int = 1
    ) -> None:
        """Take from the identity's allowance; raises RateLimited."""
        if self._limiter is not None:
            spending = Spending(
                activity=activity, peer=identity.peer, identity=identity, queue=queue, cost=cost
            )
            await self.take([spending])

    async def spend_each(self, identity: Identity, *spent: tuple[Activity, Iterable[str]]) -> None:
        """Take for activities with the queue of each message, all or nothing; raises
        RateLimited."""
        if self._limiter is not None:
            spendings = [
                Spending(
                    activity=activity, peer=identity.peer, identity=identity, queue=queue, cost=cost
                )
                for activity, queues in spent
                for queue, cost in collections.Counter(queues).items()
            ]
            await self.take(spendings)

    async def refuse_each(
        self,
        identity: Identity,
        action: Literal["read"],
        queues: Sequence[str],
        refusals: Sequence[BrokerError | None],
    ) -> list[BrokerError | None]:
        """Take and permit for each of these queues by itself, but for those that are refused
        already; return for each what refuses it, if something does."""
        left = [queue for queue, refusal in zip(queues, refusals, strict=True) if refusal is None]
        taken = iter(await self._overspend_each(identity, action, left))
        return [
            refusal or next(taken) or self._refusal(identity, action, queue)
            for queue, refusal in zip(queues, refusals, strict=True)
        ]

    async def _overspend_each(
        self, identity: Identity, activity: Activity, queues: Sequence[str]
    ) -> list[RateLimited | None]:
        """Take with each queue; return for each what it was refused with."""
        refusals: list[RateLimited | None] = [None] * len(queues)
        try:
            await self.spend_each(identity, (activity, queues))
        except RateLimited:
            # Not all of them: so many as there is an allowance for.
            for place, queue in enumerate(queues):
                try:
                    await self.spend(identity, activity, queue)
                except RateLimited as error:
                    refusals[place] = error
        return refusals

    def _refusal(self, identity: Identity, action: Action, queue: str) -> BrokerError | None:
        try:
            self.permit(identity, action, queue)
        except BrokerError as error:
            return error
        return None

    async def take(self, spendings: Sequence[Spending]) -> None:
        """Take from the allowance of whoever spends; raises RateLimited."""
        if self._limiter is None or not spendings:
            return
        name, limiter = self._limiter
        try:
            allowance = await self._patience.wait(limiter.spend(spendings))
            check_allowance(allowance)
        except Unavailable:
            raise
        except BaseException as error:
            if is_from_outside(error):
                raise
            raise self._failed(name, "count", error) from error
        turn = CURRENT_TURN.get()
        if turn is not None:
            turn.note(allowance.quotas)
        if not allowance.allowed:
            self._rejected.add(1, allowance.refused_by or "")
            raise RateLimited(allowance.retry_after, limit=allowance.refused_by)

    def permit(self, identity: Identity, action: Action, queue: str | None) -> None:
        """Raise Forbidden, or QueueNotFound for a queue that the identity may not even see."""
        if self.permits(identity, action, queue):
            return
        if queue is not None and not self.sees(identity, queue):
            raise QueueNotFound(queue)
        raise self._forbidden(action if queue is None else f"{action}:{queue}")

    def permit_some(self, identity: Identity, action: Action) -> None:
        """Raise Forbidden if there can be no queue with which the identity may do that."""
        try:
            is_permitted = yes_or_no(self._authorizer.permits_some(identity, action))
        except BaseException as error:
            raise self._failed(self._authorizer_name, "permit", error) from error
        if not is_permitted:
            raise self._forbidden(f"{action}:<queue>")

    def sees(self, identity: Identity, queue: str) -> bool:
        """Tell whether the identity may know that this queue exists."""
        return any(self.permits(identity, action, queue) for action in QUEUE_ACTIONS)

    def permits(self, identity: Identity, action: Action, queue: str | None) -> bool:
        """Tell whether the identity may do that; `queue` is None for what concerns no queue."""
        try:
            return yes_or_no(self._authorizer.permits(identity, action, queue))
        except BaseException as error:
            raise self._failed(self._authorizer_name, "permit", error) from error

    def _forbidden(self, scope: str) -> Forbidden:
        # RFC 6750, section 3.1, which is about bearer tokens; no other scheme has words for this.
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
        return Forbidden(scope, challenge=challenge if self._takes_bearer else None)

    def _failed(self, plugin: str, step: str, error: BaseException) -> Unavailable:
        self._failures.note(plugin, step, error)
        return Unavailable(f"the broker could not {step} this request")


def _reads(authenticator: Authenticator) -> bool:
    return type(authenticator).read is not Authenticator.read
