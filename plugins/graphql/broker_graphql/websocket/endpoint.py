"""GraphQL over WebSockets: Quart's side of a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from broker import (
    Broker,
    BrokerError,
    Budget,
    EndReason,
    Forbidden,
    Identity,
    Recheck,
    Request,
    Share,
    Unauthenticated,
    read_handshake,
    whose_identity,
)
from msgspec.structs import replace
from quart import Blueprint, websocket

from broker_graphql.config import GraphqlConfig
from broker_graphql.executor import Executor
from broker_graphql.websocket.connection import Connection
from broker_graphql.websocket.conversation import (
    FORBIDDEN,
    INIT_TIMEOUT,
    INTERNAL,
    INVALID,
    WRONG_SUBPROTOCOL,
    Begun,
    Breach,
    Conversation,
    Stopped,
)
from broker_graphql.websocket.frames import PONG, SUBPROTOCOL, ConnectionInit, Ping
from broker_graphql.websocket.outbox import MAX_UNSENT_BYTES, Outbox

INIT_SECONDS = 5
"""How long a client may take to say who it is."""

MAX_STRANGERS = 256
"""How many clients may be connected that have not said yet who they are; of one address, half."""

MAX_AROUND_BYTES = 2048
"""How large what is around a request may be, such as its id."""

RESTART = 1012
TRY_AGAIN = 1013
"""Close codes (RFC 6455, section 7.4.1, and IANA's registry), after which clients come again."""

END_CODES: Mapping[EndReason, int] = {
    "auth-expired": FORBIDDEN,
    "rotated": RESTART,
    "shutdown": RESTART,
    "slow": TRY_AGAIN,
    "unavailable": TRY_AGAIN,
    "deleted": TRY_AGAIN,
    "failed": INTERNAL,
}

MAX_REASON_BYTES = 123
"""RFC 6455, section 5.5."""


class WebSockets:
    """Serves connections, each in the task that Quart has for it."""

    def __init__(self, broker: Broker, executor: Executor, config: GraphqlConfig) -> None:
        self._broker = broker
        self._executor = executor
        self._config = config
        self._memory = Budget(MAX_UNSENT_BYTES, "too many large results wait to be sent")
        self._strangers = Budget(
            MAX_STRANGERS, "too many clients have not said who they are; try again in a moment"
        )

    def blueprint(self) -> Blueprint:
        """Return what serves them."""
        blueprint = Blueprint("graphql", __name__)
        for path in ("/graphql", "/v1/graphql"):
            blueprint.add_websocket(path, endpoint=path.replace("/", "_"), view_func=self.serve)
        return blueprint

    async def serve(self) -> None:
        """Serve a connection to its end; raises Overloaded while it is not accepted."""
        request = read_handshake(websocket.scope).request
        try:
            with self._as_stranger(request):
                conversation = Conversation()
                identity, recheck = await self._admit(conversation, request)
            reason = await self._talk(conversation, identity, recheck, request)
        except Breach as breach:
            await _close(breach.code, breach.reason)
        else:
            await _close(END_CODES[reason], reason)

    @contextmanager
    def _as_stranger(self, request: Request) -> Iterator[None]:
        nobody = Identity(subject="", peer=request.peer, is_anonymous=True)
        place = Share(self._strangers, whose_identity(nobody))
        place.hold(1)
        try:
            yield
        finally:
            place.give_back()

    async def _admit(
        self, conversation: Conversation, request: Request
    ) -> tuple[Identity, Recheck]:
        """Return who a client says that it is; raises Breach."""
        if SUBPROTOCOL not in websocket.requested_subprotocols:
            await websocket.accept()
            raise Breach(WRONG_SUBPROTOCOL, f"Subprotocol not acceptable: expected {SUBPROTOCOL}")
        await websocket.accept(subprotocol=SUBPROTOCOL)
        try:
            async with asyncio.timeout(INIT_SECONDS):
                init = await _hear_init(conversation)
        except TimeoutError as error:
            raise Breach(INIT_TIMEOUT, "Connection initialisation timeout") from error
        request = _with_authorization(request, init)

        async def recheck() -> Identity:
            return await self._broker.identify_request(request)

        with _refusing():
            return await recheck(), recheck

    async def _talk(
        self, conversation: Conversation, identity: Identity, recheck: Recheck, request: Request
    ) -> EndReason:
        """Do what the client asks until the connection ends; return why, or raise Breach."""
        connection = Connection(
            self._broker,
            self._executor,
            self._config,
            Outbox(self._memory, identity),
            identity,
            recheck=recheck,
            request_id=request.request_id,
        )
        try:
            with _refusing():
                self._broker.streams.join(connection)
            most = self._config.max_request_bytes + self._config.max_variables_bytes
            read_handshake(websocket.scope).messages.size = most + MAX_AROUND_BYTES
            await websocket.send(conversation.acknowledge().decode())
            await self._exchange(conversation, connection)
        finally:
            await self._broker.streams.leave(connection)
        assert connection.end_reason is not None, "it has ended"
        return connection.end_reason

    async def _exchange(self, conversation: Conversation, connection: Connection) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(_listen(conversation, connection))
                while frame := await self._broker.streams.next(connection):
                    await websocket.send(frame.decode())
                listening.cancel()
        except* Breach as breaches:
            [breach] = breaches.exceptions
            raise breach from None


async def _listen(conversation: Conversation, connection: Connection) -> None:
    """Begin and stop what the client says; raises Breach."""
    while True:
        await connection.outbox.room()
        asked = conversation.take(await websocket.receive())
        connection.heard()
        match asked:
            case Begun(exchange, payload):
                connection.begin(exchange, payload)
            case Stopped(exchange):
                connection.stop(exchange)
            case Ping():
                connection.pong()


async def _hear_init(conversation: Conversation) -> ConnectionInit:
    while True:
        asked = conversation.take(await websocket.receive())
        if isinstance(asked, ConnectionInit):
            return asked
        if isinstance(asked, Ping):
            await websocket.send(PONG.decode())


def _with_authorization(request: Request, init: ConnectionInit) -> Request:
    """Return the request as if what the client says who it is were its header, which a page's
    WebSocket cannot have; raises Breach."""
    said = [v for name, v in (init.payload or {}).items() if name.lower() == "authorization"]
    if not said:
        return request
    if len(said) > 1 or not isinstance(said[0], str):
        raise Breach(INVALID, "expected one authorization, a string")
    return replace(request, headers={**request.headers, "authorization": said[0]})


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what the broker refuses into the end of the connection."""
    try:
        yield
    except (Unauthenticated, Forbidden) as error:
        raise Breach(FORBIDDEN, f"Forbidden: {error}") from error
    except BrokerError as error:
        raise Breach(TRY_AGAIN, str(error)) from error


async def _close(code: int, reason: str) -> None:
    await websocket.close(code, reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore"))
