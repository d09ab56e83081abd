"""graphql-transport-ws without a network: who may say what when, and that everything ends once."""

import json

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from broker_graphql.websocket.conversation import Begun, Breach, Conversation, Stopped
from broker_graphql.websocket.frames import ConnectionInit, Ping

INIT = '{"type":"connection_init"}'


def subscribe(name="1", **payload):
    return json.dumps({"id": name, "type": "subscribe", "payload": payload or {"query": "{ me }"}})


def complete(name="1"):
    return json.dumps({"id": name, "type": "complete"})


def code_of(conversation, message):
    with pytest.raises(Breach) as breach:
        conversation.take(message)
    return breach.value.code


def acknowledged():
    conversation = Conversation()
    conversation.take(INIT)
    conversation.acknowledge()
    return conversation


@pytest.mark.parametrize(
    "message",
    [
        b"{}",
        b'{"type":"ping"}',
        "",
        "nonsense",
        "[]",
        "null",
        "{}",
        '{"type":"start"}',
        '{"type":"next","id":"1","payload":{}}',
        '{"type":5}',
        '{"type":"subscribe"}',
        '{"type":"subscribe","id":"1"}',
        '{"type":"subscribe","id":"","payload":{}}',
        '{"type":"subscribe","id":1,"payload":{}}',
        '{"type":"complete"}',
        '{"type":"connection_init","payload":[]}',
        '{"type":"ping"} {"type":"ping"}',
        '{"type":"connection_init","payload":{"a":' + "[" * 100_000 + "]" * 100_000 + "}}",
        json.dumps({"type": "subscribe", "id": "x" * 257, "payload": {}}),
        "\ud800",
    ],
)
def test_what_the_protocol_does_not_know_is_4400(message):
    assert code_of(acknowledged(), message) == 4400


def test_a_client_says_who_it_is():
    payload = {"authorization": "Bearer x", "more": 1}
    frame = Conversation().take(json.dumps({"type": "connection_init", "payload": payload}))

    assert frame == ConnectionInit(payload)


def test_to_say_so_twice_is_4429():
    assert code_of(acknowledged(), INIT) == 4429


@pytest.mark.parametrize("before", [[], [INIT]])
def test_to_ask_before_the_acknowledgement_is_4401(before):
    conversation = Conversation()
    for message in before:
        conversation.take(message)

    assert code_of(conversation, subscribe()) == 4401


def test_to_ask_twice_at_one_time_by_one_id_is_4409():
    conversation = acknowledged()
    conversation.take(subscribe())

    assert code_of(conversation, subscribe()) == 4409


@pytest.mark.parametrize("end", ["complete", "error", "client"])
def test_an_id_is_free_when_its_operation_is_over(end):
    conversation = acknowledged()
    first = conversation.take(subscribe()).exchange
    if end == "client":
        assert conversation.take(complete()) == Stopped(first)
    elif end == "error":
        first.error([{"message": "no"}])
    else:
        first.complete()
    second = conversation.take(subscribe()).exchange

    assert (first.next({}), first.complete(), first.error([])) == (b"", b"", b"")
    assert second.next({"data": {}}) == b'{"type":"next","id":"1","payload":{"data":{}}}'


def test_pings_are_to_be_answered_at_any_time_and_pongs_are_not():
    conversation = Conversation()

    assert conversation.take('{"type":"ping","payload":{"a":1}}') == Ping()
    assert conversation.take('{"type":"pong","payload":null}') is None


def test_to_complete_what_is_over_or_never_was_is_nothing():
    conversation = acknowledged()

    assert conversation.take(complete()) is None
    conversation.take(subscribe()).exchange.complete()
    assert conversation.take(complete()) is None


IDS = st.sampled_from("abc")


class Chat(RuleBasedStateMachine):
    """Any messages of a client, and any ends of operations, in any order."""

    @initialize()
    def begin(self):
        self.conversation = Conversation()
        self.began = self.was_acknowledged = self.is_broken = False
        self.active = {}
        self.over = []

    def say(self, message, code=None):
        """Have the client say something that is to end it with this code."""
        if code is None:
            return self.conversation.take(message)
        assert code_of(self.conversation, message) == code
        # A server closes it then. It could go on all the same, and nothing be changed by it.
        return None

    @rule()
    def init(self):
        self.say(INIT, 4429 if self.began else None)
        self.began = True

    @precondition(lambda self: self.began)
    @rule()
    def acknowledge(self):
        assert self.conversation.acknowledge() == b'{"type":"connection_ack"}'
        self.was_acknowledged = True

    @rule(name=IDS)
    def subscribe(self, name):
        code = 4409 if name in self.active else None
        begun = self.say(subscribe(name), code if self.was_acknowledged else 4401)
        if begun is not None:
            assert bytes(begun.payload) == b'{"query": "{ me }"}'
            self.active[name] = begun.exchange

    @rule(name=IDS)
    def complete(self, name):
        stopped = self.say(complete(name))
        expected = self.active.pop(name, None)
        assert stopped == (None if expected is None else Stopped(expected))
        if expected is not None:
            self.over.append(expected)

    @rule(message=st.text() | st.binary())
    def nonsense(self, message):
        self.say(message, 4400)

    @rule(name=IDS, error=st.booleans())
    def end(self, name, error):
        exchange = self.active.pop(name, None)
        if exchange is None:
            return
        frame = json.loads(exchange.error([{"message": "no"}]) if error else exchange.complete())
        assert (frame["id"], frame["type"]) == (name, "error" if error else "complete")
        self.over.append(exchange)

    @invariant()
    def what_goes_on_is_told_and_what_is_over_is_not(self):
        for name, exchange in self.active.items():
            assert json.loads(exchange.next({"data": None}))["id"] == name
        for exchange in self.over:
            assert exchange.is_over
            assert exchange.next({}) == exchange.complete() == exchange.error([]) == b""


TestChat = Chat.TestCase
TestChat.settings = settings(max_examples=200, stateful_step_count=30)


def test_a_thousand_operations_leave_nothing_behind():
    conversation = acknowledged()
    for number in range(1_000):
        begun = conversation.take(subscribe(str(number)))
        assert isinstance(begun, Begun)
        begun.exchange.complete()

    assert conversation._exchanges == {}
