"""A plugin with which tests see, and do, what clients cannot."""

BACKSTAGE = """
    from broker import Response, Route, Transport, hookimpl, json_response

    class Backstage(Transport):
        def __init__(self, broker):
            self._broker = broker

        def routes(self):
            return [Route("POST", "/rotate", self.rotate), Route("GET", "/asked", self.asked)]

        async def rotate(self, request):
            for stream in self._broker.streams._stays:
                stream.end("rotated")
            return Response(status=204)

        async def asked(self, request):
            requests = self._broker.served.requests()
            return json_response([[*key, count] for key, count in requests.items()])

    @hookimpl
    def provide_transport(broker):
        return Backstage(broker)
"""
