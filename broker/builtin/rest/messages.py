"""The routes of messages: publishing, leasing, looking, deleting."""

from __future__ import annotations

import msgspec

from broker import (
    Broker,
    Deliveries,
    Invalid,
    MessageQuery,
    Request,
    Response,
    Route,
    json_response,
    limits,
)
from broker.builtin.rest import about_messages as about
from broker.builtin.rest.drafting import draft_message, draft_raw, is_raw, read_idempotency_key
from broker.builtin.rest.queues import mount_of, next_page
from broker.builtin.rest.reading import (
    read_body,
    read_id,
    read_optional_body,
    read_query,
    read_queue,
)
from broker.builtin.rest.render import (
    BatchView,
    PageView,
    PublishView,
    view_deliveries,
    view_delivery,
    view_message,
    view_published,
)
from broker.builtin.rest.wire import (
    Batch,
    BrowseOptions,
    ConsumeOptions,
    DraftOptions,
    Fields,
    LeaseOptions,
    OutgoingMessage,
)

NO_STORE = ("cache-control", "no-store")


class MessageRoutes:
    """What producers and consumers do with messages, but for settling."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        most = limits.MAX_BATCH_BYTES
        return (
            Route(
                "POST",
                "/queues/{queue}/messages",
                self.publish,
                hot=True,
                max_body=most,
                described=about.PUBLISH,
            ),
            Route(
                "POST",
                "/queues/{queue}/messages/batch",
                self.publish_batch,
                hot=True,
                max_body=most,
                described=about.PUBLISH_BATCH,
            ),
            Route(
                "POST",
                "/queues/{queue}/messages/lease",
                self.lease,
                hot=True,
                gives=True,
                described=about.LEASE,
            ),
            Route(
                "GET",
                "/queues/{queue}/messages/consume",
                self.consume,
                hot=True,
                gives=True,
                described=about.CONSUME,
            ),
            Route("GET", "/queues/{queue}/messages", self.browse, described=about.BROWSE),
            Route("GET", "/messages/{id}", self.get, described=about.GET),
            Route("DELETE", "/messages/{id}", self.delete, described=about.DELETE),
        )

    async def publish(self, request: Request) -> Response:
        """Publish one message: described in JSON, or as it is."""
        identity = await self._broker.identify_request(request)
        if is_raw(request):
            queue, draft = Invalid.gather(
                lambda: read_queue(request),
                lambda: draft_raw(request, request.params["queue"]),
            )
        else:
            queue, _, message, key = Invalid.gather(
                lambda: read_queue(request),
                lambda: read_query(request, DraftOptions),
                lambda: read_body(request, OutgoingMessage),
                lambda: read_idempotency_key(request),
            )
            draft = draft_message(message, queue, dedup_key=key)
        [result] = await self._broker.publish(identity, [draft])
        return json_response(
            PublishView(message_id=result.id, duplicate=result.duplicate),
            status=201,
            headers=(("location", f"{mount_of(request)}/messages/{result.id}"),),
        )

    async def publish_batch(self, request: Request) -> Response:
        """Publish several messages to one queue, all or none."""
        identity = await self._broker.identify_request(request)
        queue, _, batch = Invalid.gather(
            lambda: read_queue(request),
            lambda: read_query(request, Fields),
            lambda: read_body(request, Batch),
        )
        drafts = [draft_message(message, queue) for message in batch.messages]
        results = await self._broker.publish(identity, drafts)
        return json_response(BatchView(results=view_published(results)))

    async def lease(self, request: Request) -> Response:
        """Lease messages; with none there, wait for one."""
        identity = await self._broker.identify_request(request)
        queue, _, options = Invalid.gather(
            lambda: read_queue(request),
            lambda: read_query(request, Fields),
            lambda: read_optional_body(request, LeaseOptions),
        )
        found = await self._broker.lease(
            identity,
            queue,
            limit=options.limit,
            wait=options.wait,
            lease_seconds=options.lease_seconds,
            recheck=lambda: self._broker.identify_request(request),
        )
        return self._deliver(found, view_deliveries(found))

    async def consume(self, request: Request) -> Response:
        """Lease one message, or answer that there is none."""
        identity = await self._broker.identify_request(request)
        queue, options = Invalid.gather(
            lambda: read_queue(request), lambda: read_query(request, ConsumeOptions)
        )
        found = await self._broker.lease(
            identity,
            queue,
            wait=options.wait,
            lease_seconds=options.lease_seconds,
            recheck=lambda: self._broker.identify_request(request),
        )
        if not found.deliveries:
            return Response(status=204, headers=(NO_STORE,))
        return self._deliver(found, view_delivery(found.deliveries[0]))

    def _deliver(self, found: Deliveries, view: object) -> Response:
        response = json_response(view, headers=(NO_STORE,))
        if not found.deliveries:
            return response
        return msgspec.structs.replace(
            response, undelivered=lambda: self._broker.give_back(found.deliveries)
        )

    async def browse(self, request: Request) -> Response:
        """Look at a queue's messages; a page that is not the last links to the next."""
        identity = await self._broker.identify_request(request)
        queue, options = Invalid.gather(
            lambda: read_queue(request), lambda: read_query(request, BrowseOptions)
        )
        states = tuple(dict.fromkeys(options.state))
        query = MessageQuery(
            queue=queue, states=states, after=options.after, limit=options.limit, text=options.q
        )
        page = await self._broker.browse(identity, query)
        headers: tuple[tuple[str, str], ...] = ()
        if page.after is not None:
            parameters = {"limit": options.limit, "after": page.after}
            if states:
                parameters["state"] = ",".join(states)
            if options.q:
                parameters["q"] = options.q
            headers = (next_page(request, **parameters),)
        messages = [view_message(message) for message in page.messages]
        return json_response(PageView(messages=messages, after=page.after), headers=headers)

    async def get(self, request: Request) -> Response:
        """Show a message."""
        identity = await self._broker.identify_request(request)
        message_id, _ = Invalid.gather(
            lambda: read_id(request), lambda: read_query(request, Fields)
        )
        return json_response(view_message(await self._broker.get_message(identity, message_id)))

    async def delete(self, request: Request) -> Response:
        """Remove a message, leased or not."""
        identity = await self._broker.identify_request(request)
        message_id, _ = Invalid.gather(
            lambda: read_id(request), lambda: read_query(request, Fields)
        )
        await self._broker.delete_message(identity, message_id)
        return Response(status=204)
