"""Connections over WebSockets, by what a server would pass on, under a clock that stands still."""

import asyncio
import json

import pytest
from asgi import no_task_is_left, settle  # noqa: F401  # a fixture for all that is here
from graph_sockets import INIT, Socket, socket
from graphs import graph

from broker import Forbidden, InvalidToken, Unavailable
from broker_graphql.websocket import connection, endpoint

ME = "{ me { subject } }"
EVENTS = "subscription { events { event queue } }"
HER = {"id": "1", "type": "next", "payload": {"data": {"me": {"subject": "somebody"}}}}
OVER = {"id": "1", "type": "complete"}


def told(queue, name="1", event="QUEUE_CREATED"):
    return {
        "id": name,
        "type": "next",
        "payload": {"data": {"events": {"event": event, "queue": queue}}},
    }


def codes(frame):
    assert frame["type"] == "error"
    return [error["extensions"]["code"] for error in frame["payload"]]


async def pass_time(one, seconds):
    """Let time pass, a second at a time, and all that it brings."""
    for _ in range(seconds):
        one.clock.advance(1)
        await settle()
        await settle()


async def test_any_operation_is_answered_and_the_connection_goes_on(tmp_path):
    async with graph(tmp_path) as one, socket(one) as client:
        for _ in range(2):
            client.ask(ME)
            assert [await client.hear(), await client.hear()] == [HER, OVER]
        client.ask('mutation { createQueue(name: "q") { name } }')
        assert (await client.hear())["payload"] == {"data": {"createQueue": {"name": "q"}}}


async def test_events_come_as_they_happen_and_in_their_order(tmp_path):
    async with graph(tmp_path) as one, socket(one) as client:
        client.ask(EVENTS)
        await settle()
        names = [f"q{number}" for number in range(100)]
        await one.make(*names)

        assert [await client.hear() for _ in names] == [told(name) for name in names]


async def test_subscriptions_of_one_connection_take_turns(tmp_path):
    async with graph(tmp_path) as one, socket(one) as client:
        client.takes.clear()
        for name in "ab":
            client.ask(EVENTS, name)
        await settle()
        await one.make("x", "y", "z")
        client.takes.set()

        heard = [await client.hear() for _ in range(6)]
    assert heard == [told(queue, name) for queue in "xyz" for name in "ba"]


async def test_who_completes_a_subscription_is_told_no_more_of_it(tmp_path):
    async with graph(tmp_path) as one, socket(one) as client:
        client.ask(EVENTS, "a")
        client.ask(EVENTS, "b")
        client.say({"id": "a", "type": "complete"})
        await settle()
        await one.make("x")

        assert await client.hear() == told("x", "b")
        await settle()
        assert client.is_silent()
        assert len(one.broker.streams) == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ nope }", ["invalid"]),
        ("{", ["malformed"]),
        ('subscription { events(queue: "") { queue } }', ["invalid"]),
        ("{ me { subject } " + " " * 11_000 + "}", ["too-large"]),
    ],
)
async def test_what_cannot_be_executed_ends_alone(tmp_path, query, expected):
    async with graph(tmp_path) as one, socket(one) as client:
        client.ask(query)
        assert codes(await client.hear()) == expected
        client.ask(ME)
        assert await client.hear() == HER


@pytest.mark.parametrize("payload", [{}, {"query": 5}, [], "text", None])
async def test_what_is_no_request_is_4400(tmp_path, payload):
    async with graph(tmp_path) as one, socket(one) as client:
        client.say({"id": "1", "type": "subscribe", "payload": payload})
        assert (await client.end())[0] == 4400


async def test_what_fails_unexpectedly_is_told_without_its_detail(tmp_path, monkeypatch, caplog):
    async with graph(tmp_path) as one, socket(one) as client:

        async def fail(*_, **__):
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(one.transport.executor, "execute", fail)
        client.ask(ME)
        [error] = (await client.hear())["payload"]
    assert error == {
        "message": "Internal error",
        "extensions": {"code": "internal", "request_id": "r-1.1"},
    }
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    ("messages", "code"),
    [(["nonsense"], 4400), ([b"{}"], 4400), ([INIT], 4429), (['{"type":"start"}'], 4400)],
)
async def test_who_breaks_the_protocol_loses_the_connection(tmp_path, messages, code):
    async with graph(tmp_path) as one, socket(one) as client:
        client.ask(EVENTS)
        client.say(*messages)
        assert (await client.end())[0] == code
        assert len(one.broker.streams) == 0


async def test_who_asks_first_and_says_who_it_is_later_is_4401(tmp_path):
    async with graph(tmp_path) as one, socket(one, init=None) as client:
        client.ask(ME)
        assert await client.end() == (4401, "Unauthorized")


@pytest.mark.parametrize("subprotocols", [(), ("graphql-ws",)])
async def test_who_does_not_speak_the_protocol_is_4406(tmp_path, subprotocols):
    async with graph(tmp_path) as one, socket(one, init=None, subprotocols=subprotocols) as client:
        assert (await client.end())[0] == 4406


async def test_who_does_not_say_who_it_is_is_4408(tmp_path, monkeypatch):
    monkeypatch.setattr(endpoint, "INIT_SECONDS", 0)
    async with graph(tmp_path) as one, socket(one, init=None) as client:
        assert await client.end() == (4408, "Connection initialisation timeout")


async def test_a_ping_is_answered_before_and_after(tmp_path):
    async with graph(tmp_path) as one, socket(one, init=None) as client:
        client.say({"type": "ping"})
        assert await client.hear() == {"type": "pong"}
        client.say(INIT)
        assert await client.hear() == {"type": "connection_ack"}
        client.say({"type": "ping", "payload": {"at": 1}})
        assert await client.hear() == {"type": "pong"}


async def test_of_many_pings_that_wait_one_is_answered(tmp_path):
    async with graph(tmp_path) as one, socket(one) as client:
        client.takes.clear()
        client.say(*[{"type": "ping"}] * 1_000)
        client.ask(ME)
        while client._incoming.qsize():
            await settle()
        client.takes.set()
        heard = [await client.hear()]
        while heard[-1] != OVER:
            heard.append(await client.hear())

    assert heard.count({"type": "pong"}) <= 2
    assert HER in heard


class Known:
    """Who is who, by tokens."""

    def __init__(self, one):
        self._identify = one.identify
        one.broker.identify = self.identify
        self.asked = []
        self.error = None

    async def identify(self, credentials, *, peer):
        self.asked.append((None if credentials is None else credentials.token, peer))
        if self.error is not None:
            raise self.error
        return await self._identify(credentials, peer=peer)


@pytest.mark.parametrize(
    ("headers", "payload", "token"),
    [
        ({}, None, None),
        ({"authorization": "Bearer header"}, None, "header"),
        ({}, {"authorization": "Bearer said"}, "said"),
        ({}, {"Authorization": "Bearer said"}, "said"),
        ({"authorization": "Bearer header"}, {"Authorization": "Bearer said"}, "said"),
        ({"authorization": "Bearer header"}, {"other": 1}, "header"),
    ],
)
async def test_a_client_says_who_it_is_in_a_header_or_at_first(tmp_path, headers, payload, token):
    async with graph(tmp_path) as one:
        known = Known(one)
        async with socket(one, init={**INIT, "payload": payload}, **headers):
            assert known.asked == [(token, "203.0.113.7")]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"authorization": 5}, 4400),
        ({"authorization": "Bearer x", "Authorization": "Bearer y"}, 4400),
        ({"authorization": "nonsense"}, 4403),
    ],
)
async def test_credentials_that_are_none_are_refused(tmp_path, payload, code):
    async with graph(tmp_path) as one, socket(one, init=None) as client:
        client.say({**INIT, "payload": payload})
        assert (await client.end())[0] == code


@pytest.mark.parametrize(
    ("error", "code"), [(InvalidToken(), 4403), (Unavailable("no database"), 1013)]
)
async def test_who_is_not_identified_gets_nothing(tmp_path, error, code):
    async with graph(tmp_path) as one:
        Known(one).error = error
        async with socket(one, init=None) as client:
            client.say(INIT)
            assert (await client.end())[0] == code


@pytest.mark.parametrize(
    ("error", "code"), [(InvalidToken(), 4403), (Unavailable("no database"), 1013)]
)
async def test_who_is_not_identified_any_more_is_out_within_five_seconds(tmp_path, error, code):
    async with graph(tmp_path) as one:
        known = Known(one)
        async with socket(one) as client:
            client.ask(EVENTS)
            await settle()
            known.error = error
            await pass_time(one, 5)
            assert (await client.end())[0] == code


async def test_each_operation_is_of_who_asks_as_things_stand_now(tmp_path):
    async with graph(tmp_path) as one:
        known = Known(one)
        async with socket(one) as client:
            await settle()
            one.scopes = frozenset({"read:orders"})
            client.ask('mutation { createQueue(name: "orders") { name } }')
            refused = await client.hear()
            known.error = InvalidToken()
            client.ask("{ me { subject } }", "b")
            await client.hear()
            lost = await client.hear()
        assert (lost["type"], lost["id"], codes(lost)) == ("error", "b", ["invalid-token"])
        assert refused["payload"]["errors"][0]["extensions"]["code"] == "forbidden"


async def test_who_may_read_less_loses_what_it_may_not_have_and_nothing_else(tmp_path):
    async with graph(tmp_path) as one:
        one.scopes = frozenset({"read:*"})
        async with socket(one) as client:
            client.ask('subscription { events(queue: ["orders"]) { event queue } }', "a")
            client.ask(EVENTS, "b")
            await settle()
            one.scopes = frozenset({"read:other", "publish:orders"})
            await pass_time(one, 5)
            lost = await client.hear()
            assert (lost["id"], codes(lost)) == ("a", ["forbidden"])
            await one.make("orders", "other")
            assert await client.hear() == told("other", "b")


async def test_so_many_operations_go_on_and_no_more(tmp_path):
    async with graph(tmp_path) as one, socket(one) as client:
        for number in range(connection.MAX_OPERATIONS):
            client.ask(EVENTS, f"{number}")
        client.ask(ME, "x")
        refused = await client.hear()
        assert (refused["id"], codes(refused)) == ("x", ["too-many-operations"])
        client.say({"id": "0", "type": "complete"})
        client.ask(ME, "1x")
        assert (await client.hear())["type"] == "next"


async def test_one_more_operation_than_the_broker_works_at_is_overloaded(tmp_path):
    async with graph(tmp_path) as one, socket(one) as client:
        one.broker.turns.most = 0
        client.ask(ME)
        assert codes(await client.hear()) == ["overloaded"]


async def test_a_subscriber_who_is_too_slow_is_told_and_may_subscribe_again(tmp_path):
    async with graph(tmp_path, buffer=1) as one, socket(one) as client:
        client.ask(EVENTS)
        await settle()
        client.takes.clear()
        await one.make("a", "b", "c", "d")
        client.takes.set()
        heard = [await client.hear()]
        while heard[-1]["type"] != "error":
            heard.append(await client.hear())
        assert codes(heard[-1]) == ["slow"]
        client.ask(EVENTS)
        await settle()
        await one.make("e")
        assert await client.hear() == told("e")


async def test_strangers_are_few(tmp_path, monkeypatch):
    monkeypatch.setattr(endpoint, "MAX_STRANGERS", 4)
    async with graph(tmp_path) as one:
        transport = one.transport
        transport._websockets = endpoint.WebSockets(
            one.broker, transport.executor, transport._config
        )
        async with socket(one, init=None), socket(one, init=None) as second:
            start = await (third := Socket(one)).next()
            assert start["status"] == 503
            await third.serving
            async with socket(one, init=None, peer="203.0.113.8"):
                pass
            second.say(INIT)
            await second.hear()
            async with socket(one, init=None):
                pass


async def test_an_identity_has_so_many_connections(tmp_path):
    async with graph(tmp_path) as one:
        one.broker.streams._places._most_each = 1
        async with socket(one), socket(one, init=None) as second:
            second.say(INIT)
            code, reason = await second.end()
        assert code == 1013
        assert "of your streams are open already" in reason


async def test_who_says_who_it_is_may_send_more(tmp_path):
    async with graph(tmp_path) as one:
        async with socket(one, init=None) as client:
            client.say(json.dumps({**INIT, "payload": {"x": "x" * 9_000}}))
            assert await client.end() == (1009, "the message is too large")
        async with socket(one) as client:
            client.ask("query ($a: String!) { queue(name: $a) { name } }", a="x" * 500_000)
            assert (await client.hear())["id"] == "1"
            await client.hear()
            client.say("x" * (10_000 + 1024 * 1024 + 2049))
            assert (await client.end())[0] == 1009


async def test_an_idle_client_is_asked_whether_it_is_there(tmp_path):
    async with graph(tmp_path) as one, socket(one) as client:
        for _ in range(5):
            await pass_time(one, 15)
            assert await client.hear() == {"type": "ping"}
            client.say({"type": "pong"})
            await settle()
        assert client.is_silent()


async def test_one_who_says_nothing_any_more_is_let_go(tmp_path):
    async with graph(tmp_path) as one, socket(one) as client:
        await pass_time(one, 45)
        assert [await client.hear(), await client.hear()] == [{"type": "ping"}] * 2
        assert await client.end() == (1013, "slow")


@pytest.mark.parametrize("seconds", [479, 721])
async def test_a_connection_is_renewed_after_its_time(tmp_path, seconds):
    async with graph(tmp_path) as one, socket(one) as client:
        for _ in range(seconds // 10):
            client.say({"type": "pong"})
            await pass_time(one, 10)
        await settle()
        event = None
        while not client.is_silent() and event != "websocket.close":
            event = (message := await client.next())["type"]
        if seconds > 720:
            assert (message["code"], message["reason"]) == (1012, "rotated")
        else:
            assert event == "websocket.send"


async def test_when_the_broker_stops_clients_are_told_to_come_again(tmp_path):
    async with graph(tmp_path) as one, socket(one) as client:
        client.ask(EVENTS)
        await settle()
        one.broker.drain()
        assert await client.end() == (1012, "shutdown")


async def test_whoever_goes_leaves_nothing_behind(tmp_path):
    async with graph(tmp_path) as one:
        for number in range(30):
            client = Socket(one)
            client.say(INIT)
            client.ask(EVENTS, "a")
            client.ask(ME, "b")
            for _ in range(number):
                await asyncio.sleep(0)
            if number % 2:
                await client.go()
            else:
                client.serving.cancel()
                await asyncio.wait([client.serving])
        assert len(one.broker.streams) == 0
        assert one.broker.turns.in_flight == 0
        assert one.transport._websockets._strangers._left == endpoint.MAX_STRANGERS
        assert not one.transport.executor.events.audience


LEASE = 'mutation { lease(queue: "q", limit: 1%s) { deliveries { receipt } } }'


async def pending(one):
    [status] = await one.storage.get_queues(names=["q"], now=one.clock.now())
    return status.counts.pending


@pytest.mark.parametrize("moment", ["taking", "waiting"])
async def test_what_was_leased_for_who_goes_before_it_is_sent_is_there_again(tmp_path, moment):
    async with graph(tmp_path) as one:
        await one.make("q")
        await one.publish("q", "a")
        async with socket(one) as client:
            client.takes.clear()
            if moment == "waiting":
                client.say({"type": "ping"})
                await settle()
            client.ask(LEASE % "")
            while await pending(one):
                await settle()
            await settle()
            await client.go()
        assert await pending(one) == 1


async def test_what_was_sent_is_leased(tmp_path):
    async with graph(tmp_path) as one:
        await one.make("q")
        await one.publish("q", "a")
        async with socket(one) as client:
            client.ask(LEASE % "")
            frame = await client.hear()
            assert frame["payload"]["data"]["lease"]["deliveries"][0]["receipt"]
            assert await client.hear() == OVER
            await client.go()
        assert await pending(one) == 0


@pytest.mark.parametrize("end", ["complete", "go"])
async def test_who_waits_for_messages_no_more_gets_none(tmp_path, end):
    async with graph(tmp_path) as one:
        await one.make("q")
        async with socket(one) as client:
            client.ask(LEASE % ", wait: 20")
            await settle()
            if end == "complete":
                client.say({"id": "1", "type": "complete"})
                await settle()
            else:
                await client.go()
            await one.publish("q", "a")
            await settle()
            assert client.is_silent()
            assert await pending(one) == 1
