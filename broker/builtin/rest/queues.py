"""The routes of queues."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec

from broker import (
    Broker,
    Identity,
    Invalid,
    Queue,
    QueueExists,
    QueueNotFound,
    QueuePolicy,
    QueueSpec,
    Request,
    Response,
    Route,
    json_response,
)
from broker.builtin.rest import about_queues as about
from broker.builtin.rest.preconditions import (
    ANY,
    PreconditionFailed,
    etag,
    read_if_match,
    read_must_be_new,
)
from broker.builtin.rest.reading import (
    read_body,
    read_optional_body,
    read_query,
    read_queue,
)
from broker.builtin.rest.render import CountView, view_queue
from broker.builtin.rest.wire import Fields
from broker.builtin.rest.wire_queues import ListOptions, NewQueue, Purge

CREATED = 201


class QueueRoutes:
    """Making, listing, changing, emptying and deleting queues."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._queues = broker.queues

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        return (
            Route("GET", "/queues", self.list, described=about.LIST),
            Route("POST", "/queues", self.create, described=about.CREATE),
            Route("GET", "/queues/{queue}", self.get, described=about.GET),
            Route("PUT", "/queues/{queue}", self.put, described=about.PUT),
            Route("PATCH", "/queues/{queue}", self.patch, described=about.PATCH),
            Route("DELETE", "/queues/{queue}", self.delete, described=about.DELETE),
            Route("POST", "/queues/{queue}/purge", self.purge, described=about.PURGE),
            Route("POST", "/queues/{queue}/redrive", self.redrive, described=about.REDRIVE),
            Route("POST", "/queues/{queue}/pause", self.pause, described=about.PAUSE),
            Route("POST", "/queues/{queue}/resume", self.resume, described=about.RESUME),
        )

    async def list(self, request: Request) -> Response:
        """List queues by name; a full page links to the next."""
        identity = await self._broker.identify_request(request)
        options = read_query(request, ListOptions)
        found = await self._queues.list(
            identity, prefix=options.prefix, after=options.after, limit=options.limit
        )
        headers: tuple[tuple[str, str], ...] = ()
        if len(found) == options.limit:
            parameters = {"prefix": options.prefix} if options.prefix else {}
            headers = (
                next_page(request, limit=options.limit, after=found[-1].queue.name, **parameters),
            )
        return json_response([view_queue(status) for status in found], headers=headers)

    async def create(self, request: Request) -> Response:
        """Make a queue that must be new."""
        identity = await self._broker.identify_request(request)
        _, new = Invalid.gather(
            lambda: read_query(request, Fields), lambda: read_body(request, NewQueue)
        )
        values = msgspec.structs.asdict(new)
        spec = QueueSpec(values.pop("name"), QueuePolicy(**values))
        queue = await self._queues.create(identity, spec)
        return await self._answer(identity, request, queue, status=CREATED)

    async def get(self, request: Request) -> Response:
        """Show a queue."""
        identity = await self._broker.identify_request(request)
        name, _ = Invalid.gather(lambda: read_queue(request), lambda: read_query(request, Fields))
        status = await self._queues.get(identity, name)
        return json_response(view_queue(status), headers=(etag(status.queue),))

    async def put(self, request: Request) -> Response:
        """Make a queue, or replace its whole policy."""
        identity = await self._broker.identify_request(request)
        name, _, policy, must_be_new = Invalid.gather(
            lambda: read_queue(request),
            lambda: read_query(request, Fields),
            lambda: read_body(request, QueuePolicy),
            lambda: read_must_be_new(request),
        )
        expect = await self._expected(identity, request, name, must_be_new=must_be_new)
        try:
            queue = await self._queues.put(identity, QueueSpec(name, policy), expect=expect)
        except QueueExists as error:
            raise PreconditionFailed(f"If-None-Match: {error}") from error
        status = CREATED if queue.version == 1 else 200
        return await self._answer(identity, request, queue, status=status)

    async def patch(self, request: Request) -> Response:
        """Change the fields of a queue's policy that are given."""
        identity = await self._broker.identify_request(request)
        name, _, policy = Invalid.gather(
            lambda: read_queue(request),
            lambda: read_query(request, Fields),
            lambda: read_body(request, QueuePolicy),
        )
        given = msgspec.json.decode(request.body, type=dict[str, msgspec.Raw])
        changes = {field: getattr(policy, field) for field in given}
        version = read_if_match(request)
        expect = None if version == ANY else version
        queue = await self._queues.patch(identity, name, changes, expect=expect)
        return await self._answer(identity, request, queue)

    async def delete(self, request: Request) -> Response:
        """Delete a queue with all that it holds."""
        identity = await self._broker.identify_request(request)
        name, _ = Invalid.gather(lambda: read_queue(request), lambda: read_query(request, Fields))
        version = read_if_match(request)
        await self._queues.drop(identity, name, expect=None if version == ANY else version)
        return Response(status=204)

    async def purge(self, request: Request) -> Response:
        """Remove the messages of a queue that are in some states."""
        identity = await self._broker.identify_request(request)
        name, _, body = Invalid.gather(
            lambda: read_queue(request),
            lambda: read_query(request, Fields),
            lambda: read_optional_body(request, Purge),
        )
        states = tuple(dict.fromkeys(body.states))
        count = await self._queues.purge(identity, name, states=states, older_than=body.older_than)
        return _count(count)

    async def redrive(self, request: Request) -> Response:
        """Bring failed messages back to where they came from."""
        identity, name = await self._read_bare(request)
        return _count(await self._queues.redrive(identity, name))

    async def pause(self, request: Request) -> Response:
        """Stop leasing from a queue."""
        identity, name = await self._read_bare(request)
        return _count(await self._queues.pause(identity, name))

    async def resume(self, request: Request) -> Response:
        """Lease from a queue again."""
        identity, name = await self._read_bare(request)
        return _count(await self._queues.pause(identity, name, paused=False))

    async def _read_bare(self, request: Request) -> tuple[Identity, str]:
        identity = await self._broker.identify_request(request)
        name, _, _ = Invalid.gather(
            lambda: read_queue(request),
            lambda: read_query(request, Fields),
            lambda: read_optional_body(request, Fields),
        )
        return identity, name

    async def _expected(
        self, identity: Identity, request: Request, name: str, *, must_be_new: bool
    ) -> int | None:
        version = read_if_match(request)
        if must_be_new:
            if version is not None:
                raise PreconditionFailed("If-Match and If-None-Match cannot both be true")
            return 0
        if version != ANY:
            return version
        try:
            return (await self._queues.status(identity, name)).queue.version
        except QueueNotFound as error:
            raise PreconditionFailed(f"If-Match: {error}") from error

    async def _answer(
        self, identity: Identity, request: Request, queue: Queue, *, status: int = 200
    ) -> Response:
        found = await self._queues.status(identity, queue.name)
        headers = [etag(found.queue)]
        if status == CREATED:
            headers.append(("location", f"{mount_of(request)}/queues/{queue.name}"))
        return json_response(view_queue(found), status=status, headers=tuple(headers))


def mount_of(request: Request) -> str:
    """Return the prefix under which a request came, for links to stay under it."""
    return "/v1" if request.path.startswith("/v1/") else ""


def next_page(request: Request, **parameters: str | int) -> tuple[str, str]:
    """Return the header that links to the next page (RFC 8288)."""
    return "link", f'<{request.path}?{urlencode(parameters)}>; rel="next"'


def _count(count: int) -> Response:
    return json_response(CountView(count=int(count)))
