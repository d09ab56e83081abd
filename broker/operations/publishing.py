"""Publishing: from what a sender wrote to what is stored."""

from __future__ import annotations

from collections.abc import Sequence

from broker.auth import Identity
from broker.errors import (
    BrokerError,
    MessageTooLarge,
    PluginFailure,
    QueueNotFound,
    Unsupported,
)
from broker.extend import Interceptor
from broker.limits import DEFAULT_PRIORITY
from broker.models import Draft, NewMessage, PublishResult, QueuePolicy
from broker.operations.checking import check_drafts
from broker.operations.runtime import Runtime


class Publishing:
    """Admits drafts, stores them, wakes who waits for them."""

    def __init__(self, runtime: Runtime, interceptors: Sequence[tuple[str, Interceptor]]) -> None:
        self._runtime = runtime
        self._interceptors = tuple(interceptors)
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
        batch: Sequence[NewMessage] = [
            self._address(draft, policies[draft.queue], now) for draft in drafts
        ]
        for name, interceptor in self._interceptors:
            batch = await _intercept(name, interceptor, identity, batch)
        return batch

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

    def _address(self, draft: Draft, policy: QueuePolicy, now: int) -> NewMessage:
        if self._missing:
            self._refuse_unsupported(draft)
        if len(draft.body) > policy.max_message_bytes:
            raise MessageTooLarge(
                f'a body of {len(draft.body)} bytes is too large for queue "{draft.queue}", '
                f"which takes {policy.max_message_bytes}"
            )
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

    def _refuse_unsupported(self, draft: Draft) -> None:
        name = self._runtime.storage_name
        if "priority" in self._missing and draft.priority != DEFAULT_PRIORITY:
            raise Unsupported(name, "priority", "priority")
        if "groups" in self._missing and draft.group is not None:
            raise Unsupported(name, "groups", "group")
        if "dedup" in self._missing and draft.dedup_key is not None:
            raise Unsupported(name, "dedup", "dedup_key")


async def _intercept(
    name: str, interceptor: Interceptor, identity: Identity, batch: Sequence[NewMessage]
) -> Sequence[NewMessage]:
    try:
        result = list(await interceptor.before_publish(identity, batch))
        kept = [message.queue for message in result] == [message.queue for message in batch]
    except BrokerError:
        raise
    except Exception as error:
        raise PluginFailure(name, "intercept a publish") from error
    if not kept:
        raise PluginFailure(name, "intercept a publish: it changed how many messages go where")
    return result
