"""The contract of transports, kept by REST."""

from broker.builtin.rest.transport import RestTransport
from broker.testing import Probe, TransportContract

Q = "/queues/q"
M = f"{Q}/messages"


class TestRestTransport(TransportContract):
    probes = (
        Probe(request="GET /", public=True, spends=False, stores=False),
        Probe(request="GET /healthz", public=True, spends=False, stores=False),
        Probe(request="GET /readyz", public=True, spends=False, stores=False),
        Probe(request="GET /stats", action="admin"),
        Probe(request="GET /logs", action="admin", stores=False),
        Probe(
            request="GET /logs/broker_log_20261122T213000123Z.json",
            action="admin",
            status=404,
            stores=False,
        ),
        Probe(request="GET /queues"),
        Probe(
            request="POST /queues",
            json={"name": "q"},
            action="manage",
            queue="q",
            is_there=False,
            status=201,
        ),
        Probe(request=f"GET {Q}", action="read", queue="q"),
        Probe(request=f"PUT {Q}", json={}, action="manage", queue="q"),
        Probe(request=f"PATCH {Q}", json={"lease_seconds": 10}, action="manage", queue="q"),
        Probe(request=f"DELETE {Q}", action="manage", queue="q", status=204),
        Probe(request=f"POST {Q}/purge", action="manage", queue="q"),
        Probe(request=f"POST {Q}/redrive", action="manage", queue="q"),
        Probe(request=f"POST {Q}/pause", action="manage", queue="q"),
        Probe(request=f"POST {Q}/resume", action="manage", queue="q"),
        Probe(
            request=f"POST {M}", json={"content": "tea"}, action="publish", queue="q", status=201
        ),
        Probe(
            request=f"POST {M}/batch",
            json={"messages": [{"content": "tea"}]},
            action="publish",
            queue="q",
        ),
        Probe(
            request=f"POST {M}/lease", json={"limit": 2}, action="consume", queue="q", leases=True
        ),
        Probe(request=f"GET {M}/consume", action="consume", queue="q", leases=True),
        Probe(request=f"GET {M}/stream", action="consume", queue="q", leases=True, streams=True),
        Probe(request=f"GET {M}", action="read", queue="q"),
        Probe(request="GET /messages/<id>", action="read", queue="q"),
        Probe(request="DELETE /messages/<id>", action="manage", queue="q", status=204),
        Probe(
            request="POST /messages/settle",
            json={"ack": ["<receipt>"]},
            action="consume",
            queue="q",
        ),
        Probe(
            request="POST /messages/<id>/ack",
            json={"receipt": "<receipt>"},
            action="consume",
            queue="q",
        ),
        Probe(
            request="POST /messages/<id>/nack",
            json={"receipt": "<receipt>"},
            action="consume",
            queue="q",
        ),
        Probe(
            request="POST /messages/<id>/extend",
            json={"receipt": "<receipt>", "seconds": 30},
            action="consume",
            queue="q",
        ),
        Probe(
            request="POST /messages/<id>/release",
            json={"receipt": "<receipt>"},
            action="consume",
            queue="q",
        ),
    )

    def make_transport(self, broker, plugin):
        return RestTransport(broker, data_dir=plugin.data_dir)
