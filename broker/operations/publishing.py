"""Publishing: from what a sender wrote to what is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from broker.auth import Identity
from broker.errors import MessageTooLarge, QueueNotFound, Unsupported
from broker.limits import DEFAULT_PRIORITY
from broker.models import Draft, NewMessage, PublishResult, QueuePolicy
from broker.operations.checking import check_drafts
from broker.operations.intercepting import Interceptors
from broker.operations.runtime import Runtime


class Publishing:
    """Admits drafts, stores them, wakes who waits for them."""

    def __init__(self, runtime: Runtime, interceptors: Interceptors) -> None:
        self._runtime = runtime
        self._interceptors = interceptors
        self._missing = runtime.missing

    async def publish(self, identity: Identity, drafts: Sequence[Draft]) -> list[PublishResult]:
        """Publish all or nothing."""
        check_drafts(drafts)
        queues = (draft.queue for draft in drafts)
        await self._runtime.gate.spend_each(identity, ("publish", queues))
        batch = await self.admit(identity, drafts)
        return await self._runtime.tasks.finish(self._store(identity, batch))

    async def admit(self, identity: Identity, drafts: Sequence[Draft]) -> Sequence[NewMessage]:
        """Permit drafts that were checked, fill in the policies' defaults, intercept."""
        runtime = self._runtime
        policies: dict[str, QueuePolicy] = {}
        for draft in drafts:
            if draft.queue not in policies:
                runtime.gate.permit(identity, "publish", draft.queue)
                policies[draft.queue] = await runtime.queues.policy(draft.queue)
        now = runtime.clock.now()
        for draft in drafts:
            self._check_fit(policies, draft)
        batch = tuple(_addressed(draft, policies[draft.queue], now) for draft in drafts)
        fit = partial(self._check_fit, policies)
        return await self._interceptors.intercept(identity, batch, now=now, fit=fit)

    def note(
        self, identity: Identity, batch: Sequence[NewMessage], results: Sequence[PublishResult]
    ) -> None:
        """Wake a waiting consumer for each message that was stored, and tell the observers."""
        new = [
            (message.queue, result.id)
            for message, result in zip(batch, results, strict=True)
            if not result.duplicate
        ]
        for queue, _ in new:
            self._runtime.waiting.wake(queue)
        self._runtime.observe_messages(identity, "message.published", "pending", new)

    async def _store(self, identity: Identity, batch: Sequence[NewMessage]) -> list[PublishResult]:
        runtime = self._runtime
        try:
            results = await runtime.storage.publish(batch, now=runtime.clock.now())
        except QueueNotFound as error:
            self._runtime.queues.forget(error.name)
            raise
        self.note(identity, batch, results)
        return results

    def _check_fit(self, policies: Mapping[str, QueuePolicy], draft: Draft) -> None:
        if self._missing:
            self._refuse_unsupported(draft)
        most = policies[draft.queue].max_message_bytes
        if len(draft.body) > most:
            raise MessageTooLarge(
                f'a body of {len(draft.body)} bytes is too large for queue "{draft.queue}", '
                f"which takes {most}"
            )

    def _refuse_unsupported(self, draft: Draft) -> None:
        name = self._runtime.storage_name
        if "priority" in self._missing and draft.priority != DEFAULT_PRIORITY:
            raise Unsupported(name, "priority", "priority")
        if "groups" in self._missing and draft.group is not None:
            raise Unsupported(name, "groups", "group")
        if "dedup" in self._missing and draft.dedup_key is not None:
            raise Unsupported(name, "dedup", "dedup_key")


def _addressed(draft: Draft, policy: QueuePolicy, now: int) -> NewMessage:
    delay = policy.default_delay if draft.delay is None else draft.delay
    ttl = policy.default_ttl if draft.ttl is None else draft.ttl
    return NewMessage(
        queue=draft.queue,
        body=draft.body,
        content_type=draft.content_type,
        headers=draft.headers,
        priority=draft.priority,
        group=draft.group,
        dedup_key=draft.dedup_key,
        visible_at=now + int(delay * 1000),
        expires_at=None if ttl is None else now + int(ttl * 1000),
    )
