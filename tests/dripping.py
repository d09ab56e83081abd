"""A plugin whose streams send as much as is asked for, and that tells what became of them."""

DRIPPING = """
    import os

    import broker.client
    import broker.delivery
    import broker.operations.streams
    from broker import Identity, Response, Route, Stream, Transport, hookimpl, json_response

    # What takes long is asserted elsewhere.
    if "DRIPPING_PIECE_SECONDS" in os.environ:
        seconds = float(os.environ["DRIPPING_PIECE_SECONDS"])
        broker.client.PIECE_SECONDS = broker.delivery.PIECE_SECONDS = seconds
    if "DRIPPING_HEARTBEAT_MS" in os.environ:
        broker.operations.streams.HEARTBEAT_MS = int(os.environ["DRIPPING_HEARTBEAT_MS"])


    class Drip(Stream):
        def __init__(self, told, request):
            super().__init__(Identity(subject="anonymous", peer=request.peer, is_anonymous=True))
            self.told = told
            self.size = int(request.query.get("size", ["0"])[0])
            self.line = b"data: " + b"x" * (self.size - 8) + b"\\n\\n"

        async def take(self):
            if self.size:
                self.told["sent"] += self.size
                return self.line
            return b""

        def farewell(self, reason):
            return f"event: end\\ndata: {reason}\\n\\n".encode()

        async def close(self):
            self.told["closed"] += 1


    class Dripping(Transport):
        def __init__(self, broker):
            self.broker = broker
            self.told = {"sent": 0, "closed": 0}

        def routes(self):
            return [Route("GET", "/drip", self.drip, hot=True, gives=True),
                    Route("GET", "/slow-drip", self.drip),
                    Route("GET", "/drips", self.drips)]

        async def drip(self, request):
            headers = (("content-type", "text/event-stream"),)
            return Response(headers=headers, stream=Drip(self.told, request))

        async def drips(self, _):
            return json_response({**self.told, "open": len(self.broker.streams)})


    @hookimpl
    def provide_transport(plugin, broker):
        return Dripping(broker)
"""
