"""The endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from broker import (
    Broker,
    Identity,
    Request,
    Response,
    Route,
    Transport,
    UnsupportedMediaType,
    json_response,
    read_credentials,
)

from broker_graphql.asking import read_asked
from broker_graphql.config import GraphqlConfig
from broker_graphql.execution import Execution
from broker_graphql.executor import Executor
from broker_graphql.refusal import Refused


class GraphqlTransport(Transport):
    """GraphQL over HTTP."""

    def __init__(self, broker: Broker, executor: Executor, config: GraphqlConfig) -> None:
        self._broker = broker
        self._executor = executor
        self._config = config

    async def open(self) -> None:
        """Open what executes."""
        await self._executor.open()

    async def close(self) -> None:
        """Close what executes."""
        await self._executor.close()

    def routes(self) -> Sequence[Route]:
        """Return the route."""
        most = self._config.max_request_bytes + self._config.max_variables_bytes
        return (Route("POST", "/graphql", self.answer, hot=True, gives=True, max_body=most),)

    async def answer(self, request: Request) -> Response:
        """Answer a request by what its operation results in."""

        async def recheck() -> Identity:
            return await self._broker.identify(read_credentials(request), peer=request.peer)

        identity = await recheck()
        if request.headers.get("content-type") != "application/json":
            raise UnsupportedMediaType("expected the Content-Type application/json")
        try:
            asked = read_asked(request.body, self._config)
            operation = self._executor.prepare(asked, identity)
        except Refused as refusal:
            return json_response({"errors": refusal.errors}, status=refusal.status)
        execution = self._executor.begin(identity, request_id=request.request_id, recheck=recheck)
        result = await self._executor.execute(operation, execution)
        return self._respond(result, execution)

    def _respond(self, result: object, execution: Execution) -> Response:
        response = json_response(result)
        if not execution.deliveries:
            return response
        return Response(
            body=response.body,
            headers=response.headers,
            undelivered=execution.give_back,
        )
