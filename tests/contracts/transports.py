"""A transport that keeps the contract: a small way in and out, and what streams from it."""

import msgspec

from broker import (
    Broker,
    Draft,
    Identity,
    Malformed,
    MessageQuery,
    Request,
    Response,
    Route,
    Stream,
    Transport,
    json_response,
    read_credentials,
)


class Drops(Stream):
    """Leases what comes, a line each."""

    heartbeat = b"\n"

    def __init__(self, consuming, recheck):
        super().__init__(consuming.identity, recheck=recheck)
        self.consuming = consuming
        consuming.listen(self.wake)

    async def take(self):
        await self.consuming.fetch()
        return b"".join(one.message.body + b"\n" for one in self.consuming.take())

    def admit(self, identity):
        super().admit(identity)
        self.consuming.admit(identity)

    async def close(self):
        await self.consuming.close()


class Tap(Transport):
    """A small way in and out, which keeps the contract."""

    stream_kind = Drops

    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    def routes(self):
        return (
            Route("POST", "/tap/{queue}", self.publish, hot=True),
            Route("GET", "/tap/{queue}", self.look),
            Route("POST", "/tap/{queue}/lease", self.lease, hot=True, gives=True),
            Route("GET", "/tap/{queue}/stream", self.stream, hot=True, gives=True),
        )

    async def identify(self, request: Request) -> Identity:
        return await self.broker.identify(read_credentials(request), peer=request.peer)

    def read(self, request: Request) -> str:
        try:
            body = msgspec.json.decode(request.body, type=dict[str, str])
            return body["say"]
        except (KeyError, RecursionError, UnicodeDecodeError, msgspec.DecodeError) as error:
            raise Malformed('expected {"say": "..."}') from error

    async def publish(self, request: Request) -> Response:
        identity = await self.identify(request)
        draft = Draft(queue=request.params["queue"], body=self.read(request).encode())
        [result] = await self.broker.publish(identity, [draft])
        return json_response({"id": result.id}, status=201)

    async def look(self, request: Request) -> Response:
        identity = await self.identify(request)
        query = MessageQuery(queue=request.params["queue"], limit=10)
        page = await self.broker.browse(identity, query)
        return json_response([message.body.decode() for message in page.messages])

    async def lease(self, request: Request) -> Response:
        identity = await self.identify(request)
        found = await self.broker.lease(identity, request.params["queue"])
        return msgspec.structs.replace(
            json_response([one.receipt for one in found.deliveries]),
            undelivered=lambda: self.broker.give_back(found.deliveries),
        )

    async def stream(self, request: Request) -> Response:
        identity = await self.identify(request)
        consuming = await self.broker.consume(identity, request.params["queue"])
        return Response(stream=self.stream_kind(consuming, lambda: self.identify(request)))
