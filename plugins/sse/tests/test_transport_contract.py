"""The contract of transports, kept by the streams of events."""

import broker_sse

from broker.testing import Probe, TransportContract


class TestSseTransport(TransportContract):
    plugin = broker_sse
    probes = (
        Probe(request="GET /events", action="read", spends=False, streams=True),
        Probe(request="GET /events?payload=1", action="read", spends=False, streams=True),
        Probe(request="GET /stream/q", action="read", queue="q", spends=False, streams=True),
        Probe(request="POST /events/ticket", action="read", status=201, spends=False, stores=False),
        Probe(
            request="POST /events/session", action="read", status=204, spends=False, stores=False
        ),
        Probe(
            request="DELETE /events/session", public=True, status=204, spends=False, stores=False
        ),
    )
    expected_failures = {
        "test_no_token_is_told_in_answers_or_in_the_log[POST /events/session]": (
            "the cookie of a session holds the credentials, for its browser alone"
        ),
    }

    def make_transport(self, broker, plugin):
        return broker_sse.provide_transport(plugin, broker)
