"""The API documentation: what every described route takes and answers, and pages that show it."""

from broker import Broker, Transport, hookimpl
from broker.builtin.openapi.transport import DocumentTransport


@hookimpl
def provide_transport(broker: Broker) -> Transport:
    """Return the documents and the pages."""
    return DocumentTransport(broker)
