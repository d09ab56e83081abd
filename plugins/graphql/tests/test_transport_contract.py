"""The contract of transports, kept by GraphQL over HTTP; over WebSockets, see
`tests/integration/test_graphql_websocket.py`."""

import json
import re

import broker_graphql
import msgspec

import broker
from broker.testing import Probe, TransportContract

SOCKETS = "the kit speaks no subprotocol; test_graphql_websocket.py does"


def statuses(kind):
    """The status that REST has for each code of an error."""
    found = {kind.code: kind.status}
    for child in kind.__subclasses__():
        found |= statuses(child)
    return found


STATUSES = statuses(broker.BrokerError)


def errors_in(answer):
    """The errors of a result, in each form that a result has."""
    text = answer.text
    if answer.headers["content-type"] == "text/event-stream":
        [text] = re.findall("^data: ({.*)", text, re.MULTILINE) or ["{}"]
    return json.loads(text).get("errors", ())


def probe(name, query, *, headers=None, **needs):
    return Probe(
        name=name, request="POST /graphql", json={"query": query}, headers=headers or {}, **needs
    )


def mutation(name, action, query, **needs):
    return probe(name, f"mutation {{ {query} }}", action=action, queue="q", **needs)


class TestGraphqlTransport(TransportContract):
    plugin = broker_graphql
    unprobed = {"WEBSOCKET /graphql": SOCKETS, "WEBSOCKET /v1/graphql": SOCKETS}
    probes = (
        probe("queue", '{ queue(name: "q") { messageCount } }', action="read", queue="q"),
        mutation("createQueue", "manage", 'createQueue(name: "q") { name }', is_there=False),
        mutation("purge", "manage", 'purge(queue: "q")'),
        mutation(
            "publishMessage",
            "publish",
            'publishMessage(queue: "q", message: {content: "tea"}) { messageId }',
        ),
        mutation("lease", "consume", 'lease(queue: "q") { deliveries { receipt } }', leases=True),
        mutation("ack", "consume", 'ack(id: "<id>", receipt: "<receipt>") { outcome }'),
        probe(
            "events",
            "subscription { events { event } }",
            action="read",
            headers={"accept": "text/event-stream"},
            spends=False,
            streams=True,
        ),
    )

    def make_transport(self, broker, plugin):
        return broker_graphql.provide_transport(plugin, broker)

    async def ask(self, client, probe, **options):
        """Return the answer as REST would have given it: with the status of its first error."""
        answer = await super().ask(client, probe, **options)
        for error in errors_in(answer) if answer.status == 200 else ():
            said = error["extensions"]
            headers = {**answer.headers, "retry-after": f"{said.get('retry_after', 0):g}"}
            status = STATUSES.get(said["code"], 400)  # a code of its own: it is not executed
            return msgspec.structs.replace(answer, status=status, headers=headers)
        return answer
