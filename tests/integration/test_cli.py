"""The command line against a broker in a process of its own, on a real disk."""

import json
import os
import pty
import random
import re
import signal
import subprocess
import sys

import pytest
from served import BROKER, Served


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("served"))
    yield served
    served.end()


@pytest.fixture
def mortal(tmp_path):
    """A broker of the test's own, to be killed."""
    mortal = Served(tmp_path)
    yield mortal
    mortal.end()


@pytest.fixture
def queue(served, request):
    name = re.sub(r"\W", "-", request.node.name)[:200]
    assert served.run("queue", "create", name).exit_code == 0
    return name


def make_lines(count):
    """Lines as they come: text, logs, other encodings, binary, carriage returns, nothing."""
    rng = random.Random(7)
    kinds = [
        lambda n: b"",
        lambda n: b"2026-01-02T03:04:05Z INFO request %d took 12 ms" % n,
        lambda n: f"zażółć gęślą jaźń {n} \u2028 \x85".encode(),
        lambda n: f"olá, ação {n}".encode("latin-1"),
        lambda n: b"dos %d\r" % n,
        lambda n: b"\x00\x01\x1b[31m\x7f %d" % n,
        lambda n: rng.randbytes(rng.randrange(300)).replace(b"\n", b""),
        lambda n: b'{"json": "\\u0000 %d"}' % n,
    ]
    return [rng.choice(kinds)(number) for number in range(count)]


LINES = make_lines(10_000)
"""Ten thousand, and no two neighbours alike in a way that would hide a swap."""


def joined(lines):
    return b"".join(line + b"\n" for line in lines)


def test_ten_thousand_lines_come_back_byte_for_byte_and_in_order(served, queue, tmp_path):
    (tmp_path / "input").write_bytes(joined(LINES))

    with open(tmp_path / "input", "rb") as file, open(tmp_path / "output", "wb") as output:
        published = served.begin("publish", queue, "--lines", stdin=file)
        told = published.communicate()
        consumed = served.begin("consume", queue, stdout=output)
        consumed.communicate()

    assert (published.returncode, *told) == (
        0,
        b"",
        f"published 10000 messages to {queue}\n".encode(),
    )
    assert consumed.returncode == 0
    assert (tmp_path / "output").read_bytes() == joined(LINES)
    assert served.counts(queue)["processed"] == 10_000


def test_with_retry_every_line_is_there_once_although_the_broker_was_killed(mortal):
    publishing = mortal.begin("publish", "logs", "--lines", "--create", "--retry", "100", "--json")
    publishing.stdin.write(joined(LINES[:5000]))
    publishing.stdin.flush()
    assert json.loads(publishing.stdout.readline())["first"] == 1

    mortal.end(signal.SIGKILL)
    publishing.stdin.write(joined(LINES[5000:5100]))
    publishing.stdin.flush()
    assert b"; trying again for up to 100 s" in publishing.stderr.readline()
    mortal.start()
    told = publishing.communicate(joined(LINES[5100:]))[1]

    assert (publishing.returncode, told) == (0, b"published 10000 messages to logs\n")
    assert mortal.run("consume", "logs").stdout_bytes == joined(LINES)


def test_without_retry_a_killed_broker_has_what_was_acknowledged_and_one_batch_at_most(mortal):
    publishing = mortal.begin("publish", "logs", "--lines", "--create", "--json")
    publishing.stdin.write(joined(LINES[:5000]))
    publishing.stdin.flush()
    publishing.stdout.readline()

    mortal.end(signal.SIGKILL)
    rest, told = publishing.communicate(joined(LINES[5000:]))

    assert publishing.returncode == 5
    report, reason = told.decode().splitlines()
    done = int(re.match(r"published (\d+) of at least \d+ lines; line (\d+) ", report)[1])
    assert f"line {done + 1} and what follows were not acknowledged" in report
    assert f"tail -n +{done + 1} FILE | broker publish logs --lines" in report
    assert reason.startswith("broker: ")
    batches = [json.loads(line)["message_ids"] for line in rest.splitlines()]
    assert done >= sum(map(len, batches))
    mortal.start()
    found = mortal.run("consume", "logs").stdout_bytes
    stored = mortal.counts("logs")["processed"]
    assert done <= stored <= done + 1000
    assert found == joined(LINES[:stored])


def test_a_line_of_a_stream_that_pauses_is_published_before_the_next_one_comes(served, queue):
    publishing = served.begin("publish", queue, "--lines", "--json")

    for number in range(1, 4):
        publishing.stdin.write(b"line %d\n" % number)
        publishing.stdin.flush()
        assert json.loads(publishing.stdout.readline())["first"] == number

    publishing.communicate()
    assert publishing.returncode == 0


def test_a_reader_that_has_enough_loses_nothing(served, queue):
    # Longer than a pipe holds, so that the second batch is being written when the reader leaves.
    bodies = [bytes([letter]) * 200_000 for letter in b"abcdefgh"]
    served.run("publish", queue, "--lines", input=joined(bodies))
    consuming = served.begin("consume", queue)

    seen = consuming.stdout.readline()
    consuming.stdout.close()

    assert (consuming.wait(), consuming.stderr.read()) == (0, b"")
    consuming.stdin.close()
    consuming.stderr.close()
    assert seen == bodies[0] + b"\n"
    assert served.run("consume", queue).stdout_bytes == joined(bodies[1:])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_publish_tells_what_was_acknowledged(served, queue, number):
    publishing = served.begin("publish", queue, "--lines", "--json")
    publishing.stdin.write(b"one\ntwo\n")
    publishing.stdin.flush()
    publishing.stdout.readline()

    publishing.send_signal(number)
    told = publishing.stderr.read()
    publishing.communicate()

    assert publishing.returncode == 130
    assert told.startswith(b"published 2 of at least 2 lines; line 3 and what follows were not ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_in_the_middle_of_a_message_loses_nothing(served, queue, number):
    bodies = [bytes([letter]) * 200_000 for letter in b"abcdefgh"]
    served.run("publish", queue, "--lines", input=joined(bodies))
    consuming = served.begin("consume", queue)
    assert consuming.stdout.readline() == bodies[0] + b"\n"
    assert consuming.stdout.read(1) == b"b"

    consuming.send_signal(number)
    _, told = consuming.communicate()

    assert (consuming.returncode, told) == (130, b"")
    left = served.run("consume", queue).stdout_bytes
    assert left == joined(bodies[1:])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_who_follows_gets_what_comes_and_ends_well(served, queue, number):
    consuming = served.begin("consume", queue, "--follow")

    for text in ("one", "two"):
        served.run("publish", queue, text)
        assert consuming.stdout.readline() == f"{text}\n".encode()
    consuming.send_signal(number)
    rest, told = consuming.communicate()

    assert (consuming.returncode, rest, told) == (0, b"", b"")


def test_progress_is_on_a_terminal_and_never_in_the_data(served, queue, tmp_path):
    (tmp_path / "input").write_bytes(joined(LINES[:2000]))
    ours, theirs = pty.openpty()

    publishing = served.begin(
        "publish", queue, "--lines", "--json", "--file", tmp_path / "input", stderr=theirs
    )
    os.close(theirs)
    data, _ = publishing.communicate()
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # how Linux says that the other side of a terminal is closed
        pass
    os.close(ours)

    assert publishing.returncode == 0
    assert b"messages" in shown
    assert b"\x1b[" in shown
    assert shown.endswith(f"published 2000 messages to {queue}\r\n".encode())
    assert [json.loads(line)["first"] for line in data.splitlines()] == [1, 1001]


def test_publish_makes_the_queue_that_the_start_screen_speaks_of(served):
    published = served.run("publish", "hello", "first message", "--create")
    consumed = served.run("consume", "hello")

    assert (published.exit_code, published.stdout) == (0, "")
    assert (consumed.exit_code, consumed.stdout, consumed.stderr) == (0, "first message\n", "")


def test_a_message_keeps_what_was_said_about_it(served, queue):
    options = "--priority 9 --content-type text/csv --group g --header a=1 --dedup-key k --ttl 60"
    served.run("publish", queue, "a;b", *options.split())
    again = served.run("publish", queue, "a;b", "--dedup-key", "k")

    message = json.loads(served.run("consume", queue, "--json").stdout)

    assert "got this before" in again.stderr
    kept = ("content", "priority", "content_type", "group", "headers", "dedup_key")
    assert {name: message[name] for name in kept} == {
        "content": "a;b",
        "priority": 9,
        "content_type": "text/csv",
        "group": "g",
        "headers": {"a": "1"},
        "dedup_key": "k",
    }
    assert message["receipt"]


def test_a_message_that_is_only_looked_at_is_leased_until_it_lapses(served, queue):
    served.run("publish", queue, "x")

    looked = served.run("consume", queue, "--no-ack")
    again = served.run("consume", queue)

    assert (looked.exit_code, looked.stdout) == (0, "x\n")
    assert looked.stderr == "1 message not acked: they come back when their leases end\n"
    assert again.exit_code == 3
    assert served.counts(queue)["processing"] == 1


def test_a_queue_lives_from_create_to_delete(served):
    run = served.run
    created = run("queue", "create", "life", "--max-deliveries", "none", "--paused", "true")
    assert created.exit_code == 0
    assert run("queue", "create", "life").exit_code == 1
    assert run("queue", "create", "life", "--if-missing").exit_code == 0
    assert "life\t0\t0\t0\t0\t0\tpaused\n" in run("queue", "list").stdout
    run("publish", "life", "a")
    assert run("consume", "life").stderr == "life is paused: it gives nothing out\n"
    assert run("queue", "resume", "life").exit_code == 0
    assert run("queue", "set", "life", "--lease-seconds", "7").exit_code == 0
    shown = json.loads(run("queue", "show", "life", "--json").stdout)
    policy = shown["policy"]
    assert (policy["lease_seconds"], policy["max_deliveries"], policy["paused"]) == (7, None, False)
    assert run("queue", "purge", "life", "--yes").stderr == "removed 1 message from life\n"
    assert run("queue", "redrive", "life").stderr == "brought back 0 messages\n"
    assert run("queue", "delete", "life", "--yes").exit_code == 0
    assert run("queue", "show", "life").exit_code == 3


def test_a_list_goes_over_all_pages(served, monkeypatch):
    monkeypatch.setattr("broker.cli.queue.PAGE", 2)
    names = [f"paged.{number}" for number in range(5)]
    for name in names:
        served.run("queue", "create", name)

    found = json.loads(served.run("queue", "list", "--prefix", "paged.", "--json").stdout)

    assert [queue["name"] for queue in found] == names


@pytest.mark.parametrize(
    ("args", "exit_code"),
    [
        ("queue list", 0),
        ("queue show none.such", 3),
        ("queue set none.such --paused true", 3),
        ("queue delete none.such --yes", 3),
        ("queue purge none.such --yes", 3),
        ("queue pause none.such", 3),
        ("queue redrive none.such", 3),
        ("publish none.such x", 3),
        ("consume none.such", 3),
        ("queue create bad/name", 2),
        ("queue create deadly --dead-letter-queue none.such", 2),
        ("queue list --prefix /", 2),
        ("publish none.such x --url nonsense", 2),
        ("queue list --url http://127.0.0.1:1", 5),
        ("consume q --url http://127.0.0.1:1", 5),
        ("publish q x --url http://127.0.0.1:1", 5),
    ],
)
def test_exit_codes_and_silence_on_stdout(served, args, exit_code):
    done = served.run(*args.split())

    assert done.exit_code == exit_code
    if exit_code:
        assert done.stdout == ""
        assert done.stderr


def test_a_full_queue_is_exit_code_5(served):
    served.run("queue", "create", "full", "--max-messages", "1")

    done = served.run("publish", "full", "--lines", input=b"a\nb\n")

    assert done.exit_code == 5
    assert done.stderr.endswith('broker: queue "full" is full: max_messages is 1\n')
    assert served.counts("full")["pending"] == 0


def test_a_line_that_is_too_large_stops_before_its_batch_and_is_named(served):
    served.run("queue", "create", "small", "--max-message-bytes", "10")

    done = served.run("publish", "small", "--lines", input=b"x\n" * 1000 + b"x" * 11 + b"\n")

    assert done.exit_code == 1
    assert "the longest of the lines that were refused is 1001: 11 bytes\n" in done.stderr
    assert served.counts("small")["pending"] == 1000


def test_a_full_disk_behind_stdout_is_exit_code_74_and_nothing_is_lost(served, queue):
    served.run("publish", queue, "x")

    with open("/dev/full", "wb") as full:
        consuming = served.begin("consume", queue, stdout=full)
        _, told = consuming.communicate()

    assert (consuming.returncode, told) == (74, b"broker: [Errno 28] No space left on device\n")
    assert served.run("consume", queue).stdout == "x\n"


def test_credentials_are_demanded_with_exit_code_4(tmp_path):
    closed = Served(tmp_path, anonymous="false")
    try:
        for args in ("queue list", "publish q x", "consume q"):
            done = closed.run(*args.split())
            assert (done.exit_code, done.stdout) == (4, "")
            assert done.stderr.startswith("broker: ")
    finally:
        closed.end()
