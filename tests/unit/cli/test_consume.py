"""`broker consume` against a broker that answers as a test wants it to."""

import base64
import json

import pytest

from broker.cli.client import Client
from broker.cli.consumer import Consumer

EMPTY = (200, {"messages": [], "paused": False})
MISSING = (404, {"detail": 'there is no queue "q"', "code": "queue-not-found"})


def leased(*bodies, first=1):
    """Answer a lease with these bodies; ids count from `first`, receipts are named after them."""
    messages = []
    for number, body in enumerate(bodies, first):
        message = {"id": number, "receipt": f"r{number}"}
        try:
            message["content"] = body.decode()
        except UnicodeDecodeError:
            message["content_base64"] = base64.b64encode(body).decode()
        messages.append(message)
    return 200, {"messages": messages, "paused": False}


def settled(request):
    """Find every settlement ok."""
    results = [
        {"kind": kind, "index": index, "message_id": int(receipt[1:]), "outcome": "ok"}
        for kind, receipts in request.json.items()
        for index, receipt in enumerate(receipts)
    ]
    return 200, {"results": results}


def leases(double):
    return [request.json for request in double.asked if request.path.endswith("/lease")]


def settlements(double):
    return [
        {kind: receipts for kind, receipts in request.json.items() if receipts}
        for request in double.asked
        if request.path == "/messages/settle"
    ]


def test_bodies_are_printed_byte_for_byte_with_a_newline_and_acked(double, run):
    double.will_answer(leased(b"a\r", b"\xff\x00", b""), settled, EMPTY)

    done = run("consume", "q")

    assert (done.exit_code, done.stdout_bytes, done.stderr) == (0, b"a\r\n\xff\x00\n\n", "")
    assert settlements(double) == [{"ack": ["r1", "r2", "r3"]}]


def test_an_empty_queue_is_exit_code_3(double, run):
    double.will_answer(EMPTY)

    done = run("consume", "q")

    assert (done.exit_code, done.stdout, done.stderr) == (3, "", "")


def test_a_paused_queue_is_told(double, run):
    double.will_answer((200, {"messages": [], "paused": True}))

    done = run("consume", "q")

    assert (done.exit_code, done.stderr) == (3, "q is paused: it gives nothing out\n")


def test_a_missing_queue_is_exit_code_3_and_told(double, run):
    double.will_answer(MISSING)

    done = run("consume", "q")

    assert (done.exit_code, done.stderr) == (3, 'broker: there is no queue "q"\n')


def test_batches_grow_to_a_hundred(double, run):
    for _ in range(9):
        double.will_answer(leased(b"x"), settled)
    double.will_answer(EMPTY)

    run("consume", "q")

    asked = [lease["limit"] for lease in leases(double)]
    assert asked == [1, 2, 4, 8, 16, 32, 64, 100, 100, 100]


def test_batches_of_large_messages_stay_small(double, run):
    large = b"x" * 3_000_000
    double.will_answer(leased(large), settled, leased(large, large), settled, EMPTY)

    run("consume", "q")

    assert [lease["limit"] for lease in leases(double)] == [1, 2, 2]


def test_a_limit_is_never_exceeded(double, run):
    double.will_answer(leased(b"x"), settled, leased(b"x", b"x"), settled, leased(b"x"), settled)

    done = run("consume", "q", "--limit", "4")

    assert [lease["limit"] for lease in leases(double)] == [1, 2, 1]
    assert (done.exit_code, done.stdout) == (0, "x\n" * 4)


def test_options_of_the_lease_go_along(double, run):
    double.will_answer(EMPTY)

    run("consume", "q", "--lease-seconds", "90")

    assert leases(double) == [{"limit": 1, "wait": 0, "lease_seconds": 90}]


def test_json_is_the_message_as_the_broker_sent_it(double, run):
    double.will_answer(leased(b"a", b"\xff"), settled, EMPTY)

    done = run("consume", "q", "--json")

    assert [json.loads(line) for line in done.stdout.splitlines()] == leased(b"a", b"\xff")[1][
        "messages"
    ]


def test_without_ack_nothing_is_settled_and_that_is_told(double, run):
    double.will_answer(leased(b"a", b"b"), EMPTY)

    done = run("consume", "q", "--no-ack")

    assert (done.exit_code, settlements(double)) == (0, [])
    assert done.stderr == "2 messages not acked: they come back when their leases end\n"


def test_without_ack_a_message_that_came_back_ends_it(double, run):
    double.will_answer(leased(b"a"), leased(b"b", first=2), leased(b"a"))

    done = run("consume", "q", "--no-ack")

    assert (done.exit_code, done.stdout) == (0, "a\nb\n")


def test_a_lost_lease_is_told_and_is_exit_code_1(double, run):
    results = [
        {"kind": "ack", "index": 0, "message_id": 1, "outcome": "ok"},
        {"kind": "ack", "index": 1, "message_id": 2, "outcome": "stale"},
    ]
    double.will_answer(leased(b"a", b"b"), (200, {"results": results}), EMPTY)

    done = run("consume", "q")

    assert (done.exit_code, done.stdout) == (1, "a\nb\n")
    assert done.stderr == (
        "message 2 was printed, but its lease was over before the ack (stale); "
        "it may be delivered again\n"
    )


def test_a_broker_that_goes_away_is_exit_code_5(double, run):
    double.will_answer(leased(b"a"), double.LOST)

    done = run("consume", "q")

    assert (done.exit_code, done.stdout) == (5, "a\n")


class Time:
    """A clock that moves when somebody waits."""

    def __init__(self):
        self.now = 100.0
        self.slept = []

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def consuming(double, write, *, limit=None, idle_seconds=0, **options):
    """Consume with a `write` of the test's own; return the Consumer."""
    with Client(double.url) as client:
        consumer = Consumer(client, "q", write=write, **options)
        consumer.run(limit=limit, idle_seconds=idle_seconds)
        return consumer


def write_then_raise(error, *, after):
    written = []

    def write(message, raw):
        if len(written) == after:
            raise error
        written.append(message.body)

    return write


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_what_was_written_before_the_end_is_acked_and_the_rest_released(double, error):
    double.will_answer(leased(b"a", b"b", b"c"), settled)

    with pytest.raises(type(error)):
        consuming(double, write_then_raise(error, after=1))

    assert settlements(double) == [{"ack": ["r1"], "release": ["r2", "r3"]}]


def test_a_closed_pipe_releases_the_whole_batch(double):
    double.will_answer(leased(b"a", b"b", b"c"), settled)

    with pytest.raises(BrokenPipeError):
        consuming(double, write_then_raise(BrokenPipeError(), after=1))

    assert settlements(double) == [{"release": ["r1", "r2", "r3"]}]


def test_without_ack_an_interrupt_still_releases_what_was_not_written(double):
    double.will_answer(leased(b"a", b"b"), settled)

    with pytest.raises(KeyboardInterrupt):
        consuming(double, write_then_raise(KeyboardInterrupt(), after=1), ack=False)

    assert settlements(double) == [{"release": ["r2"]}]


def test_an_interrupt_during_the_ack_acks_again(double, monkeypatch):
    double.will_answer(leased(b"a"), settled)
    call = Client.call
    interrupts = [KeyboardInterrupt()]

    def interrupted(self, method, path, **options):
        if path == "/messages/settle" and interrupts:
            raise interrupts.pop()
        return call(self, method, path, **options)

    monkeypatch.setattr(Client, "call", interrupted)

    with pytest.raises(KeyboardInterrupt):
        consuming(double, lambda message, raw: None)

    assert settlements(double) == [{"ack": ["r1"]}]


def test_waiting_ends_when_nothing_came_for_so_long(double):
    time = Time()

    def after(seconds, answer):
        def later(request):
            time.now += seconds
            return answer

        return later

    double.will_answer(
        after(20, EMPTY), after(5, leased(b"a")), settled, after(20, EMPTY), after(10, EMPTY)
    )

    consumer = consuming(
        double, lambda message, raw: None, idle_seconds=30, clock=time.clock, sleep=time.sleep
    )

    assert (consumer.written, time.slept) == (1, [])
    assert [lease["wait"] for lease in leases(double)] == [20, 10, 20, 10]


def test_following_asks_for_ever_and_waits_at_the_broker(double):
    double.will_answer(EMPTY, leased(b"a"), settled, MISSING)

    with pytest.raises(Exception, match="there is no queue"):
        consuming(double, lambda message, raw: None, idle_seconds=None, sleep=lambda seconds: None)

    assert [lease["wait"] for lease in leases(double)] == [20, 20, 20]


def test_a_broker_that_does_not_wait_is_not_asked_without_pause(double):
    time = Time()
    double.will_answer(EMPTY, EMPTY, leased(b"a"), settled)

    consuming(
        double,
        lambda message, raw: None,
        limit=1,
        idle_seconds=None,
        clock=time.clock,
        sleep=time.sleep,
    )

    assert time.slept == [0.5, 0.5]


def test_an_interrupt_is_exit_code_130_but_0_for_one_who_follows(double, run, monkeypatch):
    def interrupt(self, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Consumer, "run", interrupt)

    assert run("consume", "q").exit_code == 130
    assert run("consume", "q", "--follow").exit_code == 0
