"""How long a queue is, as text: `GET /acme/{queue}/length`."""

from collections.abc import Sequence

from broker import (
    Broker,
    PluginContext,
    Request,
    Response,
    Route,
    Transport,
    hookimpl,
    read_credentials,
)


class AcmeTransport(Transport):
    """One route. It calls the broker as whoever asks, so permissions and limits hold."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def routes(self) -> Sequence[Route]:
        """Return the route."""
        return [Route("GET", "/acme/{queue}/length", self._length)]

    async def _length(self, request: Request) -> Response:
        identity = await self._broker.identify(read_credentials(request), peer=request.peer)
        status = await self._broker.queues.get(identity, request.params["queue"])
        return Response(
            body=b"%d\n" % status.counts.pending, headers=(("content-type", "text/plain"),)
        )


@hookimpl
def provide_transport(plugin: PluginContext, broker: Broker) -> Transport:
    """Return one way in."""
    return AcmeTransport(broker)
