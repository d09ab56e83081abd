"""Every option of every mutation with values that may be wrong, asked beside the route of REST that
does the same: what is refused is refused alike, named, and changes nothing."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest

from broker import QueuePolicy, read_receipt


class Ask(NamedTuple):
    """The same request to GraphQL and to REST, with a place for one value in it: $it."""

    option: str
    """The argument that it is, by its path."""
    variable: str
    """The type of the variable that carries it."""
    field: str
    method: str
    path: str
    body: Any
    null: bool = True
    """Whether null says the same to both: to REST, it is a value of what it does not know."""


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


KINDS = {
    **dict.fromkeys(["lease_seconds", "max_deliveries", "dedup_window"], "Int"),
    "dead_letter_queue": "String",
    "overflow": "Overflow",
    "ordering": "Ordering",
    "paused": "Boolean",
    **dict.fromkeys(["max_messages", "max_bytes", "max_in_flight", "max_message_bytes"], "Long"),
    **dict.fromkeys(["retain_processed", "retain_failed"], "Long"),
}
MESSAGE = {
    "content_type": "String",
    "priority": "Int!",
    "delay": "Float",
    "ttl": "Float",
    "group": "String",
    "dedup_key": "String",
}
SETTLE = {"delay": "Float", "seconds": "Float", "reason": "String"}
MEANT = {("retry", "delay"), ("retry", "reason"), ("reject", "reason"), ("extend", "seconds")}


def asks() -> Iterator[Ask]:
    for option in (field.name for field in msgspec.structs.fields(QueuePolicy)):
        told, kind = camel(option), KINDS.get(option, "Float")
        create = f'createQueue(name: "new", policy: {{ {told}: $it }}) {{ name }}'
        update = f'updateQueue(name: "q", policy: {{ {told}: $it }}) {{ name }}'
        body = {"name": "new", option: "$it"}
        yield Ask(f"policy.{told}", kind, create, "POST", "/queues", body)
        yield Ask(f"policy.{told}", kind, update, "PATCH", "/queues/q", {option: "$it"})

    for option, kind in MESSAGE.items():
        told = camel(option)
        input_, body = f'{{ content: "x", {told}: $it }}', {"content": "x", option: "$it"}
        one = f'publishMessage(queue: "q", message: {input_}) {{ messageId }}'
        some = f'publishMessages(queue: "q", messages: [{input_}]) {{ messageId }}'
        beside = (
            f'settle(settlements: [], publish: [{{ queue: "q", message: {input_} }}])'
            " { published { messageId } }"
        )
        path = "/queues/q/messages"
        yield Ask(f"message.{told}", kind, one, "POST", path, body)
        yield Ask(f"messages[0].{told}", kind, some, "POST", f"{path}/batch", {"messages": [body]})
        publish = {"publish": [{"queue": "q", **body}]}
        told = f"publish[0].message.{told}"
        yield Ask(told, kind, beside, "POST", "/messages/settle", publish)

    for verb in ("ack", "retry", "release", "reject", "extend"):
        for option, kind in SETTLE.items():
            settle = (
                f"settle(settlements: [{{ receipt: $receipt, kind: {verb.upper()}, {option}: $it }}"
                "]) { results { outcome } }"
            )
            body = {verb: [{"receipt": "$receipt", option: "$it"}]}
            told, null = f"settlements[0].{option}", (verb, option) in MEANT
            yield Ask(told, kind, settle, "POST", "/messages/settle", body, null)

    for option, kind in {"limit": "Int!", "wait": "Float!", "lease_seconds": "Int"}.items():
        lease = f'lease(queue: "q", {camel(option)}: $it) {{ paused }}'
        path = "/queues/q/messages/lease"
        yield Ask(camel(option), kind, lease, "POST", path, {option: "$it"})

    purge = 'purge(queue: "q", states: [FAILED], olderThan: $it)'
    body = {"states": ["failed"], "older_than": "$it"}
    yield Ask("olderThan", "Float", purge, "POST", "/queues/q/purge", body)

    for option, kind in {"delay": "Float", "reason": "String", "receipt": "String"}.items():
        for requeue in ("true", "false"):
            nack = f"nack(id: $message, requeue: {requeue}, {option}: $it) {{ state }}"
            path = f"/messages/{{message}}/nack?requeue={requeue}"
            yield Ask(option, kind, nack, "POST", path, {option: "$it"})

    ack = "ack(id: $message, receipt: $it) { state }"
    yield Ask("receipt", "String", ack, "POST", "/messages/{message}/ack", {"receipt": "$it"})

    create = "createQueue(name: $it) { name }"
    yield Ask("name", "String!", create, "POST", "/queues", {"name": "$it"})


ASKS = list(asks())
VALUES = [
    None,
    True,
    *(-1, 0, 1, 9, 10, 1001, 43_201, 86_401, 2**31, 31_622_401, 2**53 - 1),
    *(0.5, -0.5, 20.5),
    *("", "q", "other", "a b", "a\nb", "\x7f", "ü", "x" * 256, "x" * 1025),
    [],
    {},
]


class World:
    """A broker, asked both ways in the same state."""

    def __init__(self, call):
        self._call = call
        self._before = None
        self._receipt = ""

    def ask(self, ask: Ask, value: Any):
        """Return the codes of both."""
        self._put()
        body = filled(ask.body, {"$it": value, "$receipt": self._receipt})
        plain = self._call(ask.method, ask.path.format(message=self._message), json=body)
        self._put()
        known = {"message": "ID!", "receipt": "String!"}
        used = "".join(
            f", ${name}: {kind}" for name, kind in known.items() if f"${name}" in ask.field
        )
        answer = self._call(
            "POST",
            "/graphql",
            json={
                "query": f"mutation ($it: {ask.variable}{used}) {{ {ask.field} }}",
                "variables": {"it": value, "receipt": self._receipt, "message": self._message},
            },
        )
        [error, *_] = answer.json.get("errors", [None])
        return plain.json.get("code"), error

    def has_changed(self) -> bool:
        return self._call.queues() != self._before

    @property
    def _message(self) -> str:
        return str(read_receipt(self._receipt).message_id)

    def _put(self) -> None:
        """Leave nothing there but a queue with a leased message and another message, and a second
        queue."""
        if not self.has_changed():
            return
        for queue in self._call("GET", "/queues").json:
            self._call("DELETE", f"/queues/{queue['name']}")
        for name in ("q", "other"):
            self._call("POST", "/queues", json={"name": name})
        for content in ("1", "2"):
            self._call.publish(content)
        [leased] = self._call.lease()
        self._receipt, self._before = leased["receipt"], self._call.queues()


def filled(body, parts):
    if isinstance(body, dict):
        return {key: filled(value, parts) for key, value in body.items()}
    if isinstance(body, list):
        return [filled(value, parts) for value in body]
    return parts.get(body, body)


@pytest.mark.parametrize("mutation", sorted({ask.field.partition("(")[0] for ask in ASKS}))
def test_what_one_refuses_the_other_refuses(serve_with, mutation):
    world = World(serve_with("fastpath", anonymous=True, plugins=["memory", "graphql"]))
    for ask in ASKS:
        if not ask.field.startswith(f"{mutation}("):
            continue
        for value in VALUES if ask.null else VALUES[1:]:
            code, error = world.ask(ask, value)
            about = (ask, value, code, error)
            assert (error and error["extensions"]["code"]) == code, about
            if error is None:
                continue
            assert not world.has_changed(), about
            for wrong in error["extensions"].get("errors", ()):
                assert wrong["field"] == ask.option, about


BAD_NAMES = ["", "a b", "-a", "a/b", "x" * 256, "ü", "a\n", ".."]
NAMED = [
    "createQueue(name: $it) { name }",
    "updateQueue(name: $it, policy: {}) { name }",
    "deleteQueue(name: $it)",
    'publishMessage(queue: $it, message: { content: "x" }) { messageId }',
    'publishMessages(queue: $it, messages: [{ content: "x" }]) { messageId }',
    "lease(queue: $it) { paused }",
    "purge(queue: $it)",
    "redrive(queue: $it)",
    "pause(queue: $it) { name }",
    "resume(queue: $it) { name }",
]


def test_no_queue_has_such_a_name(serve_with):
    call = serve_with("fastpath", anonymous=True, plugins=["memory", "graphql"])
    for field in NAMED:
        for name in BAD_NAMES:
            body = {"query": f"mutation ($it: String!) {{ {field} }}", "variables": {"it": name}}
            [error] = call("POST", "/graphql", json=body).json["errors"]
            argument = "name" if "(name:" in field else "queue"
            assert error["extensions"]["code"] == "invalid", (field, name, error)
            assert [wrong["field"] for wrong in error["extensions"]["errors"]] == [argument]
