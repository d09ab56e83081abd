"""The endpoint."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from broker import (
    Broker,
    Identity,
    NotAcceptable,
    Request,
    Response,
    Route,
    Transport,
    choose_type,
    demand_json,
    names_type,
)
from quart import Blueprint

from broker_graphql import about
from broker_graphql.config import GraphqlConfig
from broker_graphql.engine import Result
from broker_graphql.event_stream import COMPLETE, EVENT_STREAM, EventStream, write_next
from broker_graphql.executor import Executor
from broker_graphql.gate.asking import read_asked
from broker_graphql.gate.refusal import Refused
from broker_graphql.websocket.endpoint import WebSockets

FORMS = {
    "application/json": "application/json",
    "application/graphql-response+json": "application/graphql-response+json; charset=utf-8",
    EVENT_STREAM: EVENT_STREAM,
}
"""The forms of a result, each with its Content-Type; the first for who takes whatever comes."""

NO_STORE = ("cache-control", "no-store")


class GraphqlTransport(Transport):
    """GraphQL over HTTP, and over Server-Sent Events."""

    def __init__(self, broker: Broker, executor: Executor, config: GraphqlConfig) -> None:
        self.executor = executor
        """What answers, without a network."""
        self._broker = broker
        self._config = config
        self._websockets = WebSockets(broker, executor, config)

    async def open(self) -> None:
        """Open what executes."""
        await self.executor.open()

    async def close(self) -> None:
        """Close what executes."""
        await self.executor.close()

    def routes(self) -> Sequence[Route]:
        """Return the route."""
        most = self._config.max_request_bytes + self._config.max_variables_bytes
        return (
            Route(
                "POST",
                "/graphql",
                self.answer,
                hot=True,
                gives=True,
                max_body=most,
                described=about.ANSWER,
            ),
        )

    def blueprint(self) -> Blueprint:
        """Return what serves WebSockets."""
        return self._websockets.blueprint()

    async def answer(self, request: Request) -> Response:
        """Answer a request by what its operation results in, once or again and again."""

        async def recheck() -> Identity:
            return await self._broker.identify_request(request)

        identity = await recheck()
        demand_json(request)
        form = choose_type(request, tuple(FORMS))
        try:
            asked = read_asked(request.body, self._config)
            operation = self.executor.prepare(asked, identity)
            execution = self.executor.begin(
                identity, request_id=request.request_id, recheck=recheck
            )
            if operation.is_subscription:
                form = _demand_event_stream(request)
                stream = EventStream(self.executor, operation, execution)
                return Response(headers=(("content-type", form),), stream=stream)
        except Refused as refusal:
            return _refuse(refusal, form)
        result = await self.executor.execute(operation, execution)
        return Response(
            body=_write(result, form),
            headers=_headers(form),
            undelivered=execution.undo,
        )


def _demand_event_stream(request: Request) -> str:
    if not names_type(request, EVENT_STREAM):
        raise NotAcceptable(
            f"a subscription is answered with {EVENT_STREAM}; name that in the header Accept"
        )
    return EVENT_STREAM


def _refuse(refusal: Refused, form: str) -> Response:
    # Who reads a stream of events cannot read anything else, whatever its status.
    status = 200 if form == EVENT_STREAM else refusal.status
    return Response(
        status=status, body=_write({"errors": refusal.errors}, form), headers=_headers(form)
    )


def _headers(form: str) -> tuple[tuple[str, str], ...]:
    return (("content-type", FORMS[form]), NO_STORE)


def _write(result: Result, form: str) -> bytes:
    return write_next(result) + COMPLETE if form == EVENT_STREAM else msgspec.json.encode(result)
