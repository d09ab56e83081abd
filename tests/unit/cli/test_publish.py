"""`broker publish` against a broker that answers as a test wants it to."""

import base64
import json
import os

import pytest

FULL = (429, {"detail": 'queue "logs" is full: max_messages is 3', "code": "queue-full"})
MISSING = (404, {"detail": 'there is no queue "logs"', "code": "queue-not-found"})


def stored(request):
    """Take whatever comes; the ids count from 1 in each batch."""
    results = [
        {"message_id": number, "duplicate": False}
        for number, _ in enumerate(request.json["messages"], 1)
    ]
    return 200, {"results": results}


def bodies(double):
    """Return what was in each batch that was asked for, as bytes."""
    return [
        [
            base64.b64decode(message["content_base64"])
            if "content_base64" in message
            else message["content"].encode()
            for message in request.json["messages"]
        ]
        for request in double.asked
        if request.path == "/queues/logs/messages/batch"
    ]


def test_an_argument_is_one_message(double, run):
    double.will_answer(stored)

    done = run("publish", "logs", "hello")

    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "published message 1 to logs\n"
    assert double.asked[0].json == {"messages": [{"content": "hello"}]}


def test_an_argument_that_is_not_utf8_goes_as_its_bytes(double, run):
    double.will_answer(stored)

    run("publish", "logs", os.fsdecode(b"\xff\xfe"))

    assert bodies(double) == [[b"\xff\xfe"]]


def test_stdin_is_one_message_byte_for_byte(double, run):
    double.will_answer(stored)

    run("publish", "logs", "-", input=b"a\r\n\x00\xff\n")

    assert bodies(double) == [[b"a\r\n\x00\xff\n"]]


def test_a_file_is_one_message(double, run, tmp_path):
    (tmp_path / "f").write_bytes(b"a\nb\n")
    double.will_answer(stored)

    run("publish", "logs", "--file", str(tmp_path / "f"))

    assert bodies(double) == [[b"a\nb\n"]]


def test_an_empty_body_is_a_message(double, run):
    double.will_answer(stored, stored)

    run("publish", "logs", "")
    run("publish", "logs", "-", input=b"")

    assert bodies(double) == [[b""], [b""]]


def test_options_go_with_the_message(double, run):
    double.will_answer(stored)
    options = (
        "--priority 9 --delay 1.5 --ttl 60 --group g --dedup-key k --content-type text/csv "
        "--header a=1 --header b=x=y"
    )

    run("publish", "logs", "x", *options.split())

    assert double.asked[0].json["messages"] == [
        {
            "content": "x",
            "priority": 9,
            "delay": 1.5,
            "ttl": 60,
            "group": "g",
            "dedup_key": "k",
            "content_type": "text/csv",
            "headers": {"a": "1", "b": "x=y"},
        }
    ]


def test_a_duplicate_is_told(double, run):
    double.will_answer((200, {"results": [{"message_id": 7, "duplicate": True}]}))

    done = run("publish", "logs", "x", "--dedup-key", "k")

    assert (done.exit_code, done.stderr) == (0, "logs got this before, as message 7\n")


@pytest.mark.parametrize(
    "args",
    [
        [],  # nothing to publish
        ["x", "--file", __file__],  # two bodies
        ["x", "--lines"],  # is x a line or a file?
        ["-", "--lines", "--file", __file__],  # two inputs
        ["--lines", "--dedup-key", "k"],  # one key would make all lines one message
        ["x", "--priority", "10"],
        ["x", "--delay", "-1"],
        ["x", "--header", "nothing"],
        ["--file", "/nowhere/at/all"],
    ],
)
def test_what_cannot_be_meant_is_a_usage_error_and_nothing_is_asked(double, run, args):
    done = run("publish", "logs", *args, input=b"")

    assert (done.exit_code, double.asked) == (2, [])
    assert done.stderr.startswith("Usage: broker publish ")


def test_a_name_that_no_queue_can_have_is_a_usage_error(double, run):
    done = run("publish", "../messages", "x")

    assert (done.exit_code, double.asked) == (2, [])


def test_each_line_is_a_message_in_batches(double, run):
    double.will_answer(stored, stored, stored)
    lines = [b"%d" % number for number in range(2500)]

    done = run("publish", "logs", "--lines", input=b"\n".join(lines))

    assert bodies(double) == [lines[:1000], lines[1000:2000], lines[2000:]]
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "published 2500 messages to logs\n"


def test_lines_come_from_a_file_or_stdin(double, run, tmp_path):
    (tmp_path / "f").write_bytes(b"a\nb\n")
    double.will_answer(stored, stored)

    run("publish", "logs", "--lines", "--file", str(tmp_path / "f"))
    run("publish", "logs", "--lines", "-", input=b"c")

    assert bodies(double) == [[b"a", b"b"], [b"c"]]


def test_no_line_at_all_is_no_error(double, run):
    done = run("publish", "logs", "--lines", input=b"")

    assert (done.exit_code, double.asked) == (0, [])
    assert done.stderr == "published 0 messages to logs\n"


def test_options_go_with_every_line(double, run):
    double.will_answer(stored)

    run("publish", "logs", "--lines", "--group", "g", input=b"a\nb\n")

    assert [message["group"] for message in double.asked[0].json["messages"]] == ["g", "g"]


def test_control_characters_do_not_swell_a_batch(double, run):
    double.will_answer(stored)

    run("publish", "logs", "-", input=b"\x01" * 3000)

    [message] = double.asked[0].json["messages"]
    assert len(message["content_base64"]) == 4000


def test_json_is_a_line_for_each_batch(double, run):
    double.will_answer(stored, stored)

    done = run("publish", "logs", "--lines", "--json", input=b"x\n" * 1002)

    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"queue": "logs", "first": 1, "message_ids": list(range(1, 1001))},
        {"queue": "logs", "first": 1001, "message_ids": [1, 2]},
    ]


def test_a_missing_queue_is_exit_code_3(double, run):
    double.will_answer(MISSING)

    done = run("publish", "logs", "x")

    assert done.exit_code == 3
    assert done.stderr == 'broker: there is no queue "logs"; with --create it would be made\n'


def test_a_missing_queue_is_made_if_so_wanted(double, run):
    double.will_answer(MISSING, (201, {}), stored)

    done = run("publish", "logs", "x", "--create")

    assert done.exit_code == 0
    assert [(request.method, request.path) for request in double.asked] == [
        ("POST", "/queues/logs/messages/batch"),
        ("POST", "/queues"),
        ("POST", "/queues/logs/messages/batch"),
    ]
    assert double.asked[1].json == {"name": "logs"}


def test_a_queue_that_somebody_else_made_meanwhile_will_do(double, run):
    double.will_answer(MISSING, (409, {"detail": "there already"}), stored)

    assert run("publish", "logs", "x", "--create").exit_code == 0


def test_a_queue_that_vanishes_later_is_not_made_again(double, run):
    double.will_answer(MISSING, (201, {}), stored, MISSING)

    done = run("publish", "logs", "--lines", "--create", input=b"x\n" * 1500)

    assert done.exit_code == 3


def test_a_failure_tells_exactly_what_was_acknowledged(double, run):
    double.will_answer(stored, stored, FULL)

    done = run("publish", "logs", "--lines", input=b"x\n" * 2500)

    assert done.exit_code == 5
    assert done.stderr.splitlines() == [
        "published 2000 of at least 2500 lines; line 2001 and what follows were not acknowledged; "
        "continue with: tail -n +2001 FILE | broker publish logs --lines",
        'broker: queue "logs" is full: max_messages is 3',
    ]


def test_the_advice_names_the_file(double, run, tmp_path):
    path = tmp_path / "a log"
    path.write_bytes(b"x\n")
    double.will_answer(FULL)

    done = run("publish", "logs", "--lines", "--file", str(path))

    assert f"tail -n +1 '{path}' | broker publish logs --lines\n" in done.stderr


def test_a_lost_answer_leaves_open_what_was_stored(double, run):
    double.will_answer(stored, double.LOST)

    done = run("publish", "logs", "--lines", input=b"x\n" * 1500)

    assert done.exit_code == 5
    assert done.stderr.startswith(
        "published 1000 of at least 1500 lines; line 1001 and what follows were not acknowledged "
        "(but some up to line 1500 may be stored); continue with: tail -n +1001 FILE"
    )


def test_the_line_that_was_too_large_is_named(double, run):
    double.will_answer(stored, (413, {"detail": "too large", "code": "too-large"}))

    done = run("publish", "logs", "--lines", input=b"x\n" * 1010 + b"x" * 50 + b"\nx\n")

    assert done.exit_code == 1
    assert "the longest of the lines that were refused is 1011: 50 bytes\n" in done.stderr


def test_a_stdin_that_cannot_be_read_any_further_is_exit_code_74(double, run, monkeypatch):
    def fail(source):
        yield b"x"
        yield None
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("broker.cli.publication.read_lines", fail)
    double.will_answer(stored)

    done = run("publish", "logs", "--lines", input=b"")

    assert done.exit_code == 74
    assert done.stderr.startswith("published 1 of at least 1 lines; line 2 and what follows were")


def test_an_interrupt_tells_what_was_acknowledged(double, run, monkeypatch):
    def interrupt(source):
        yield b"x"
        yield None
        raise KeyboardInterrupt

    monkeypatch.setattr("broker.cli.publication.read_lines", interrupt)
    double.will_answer(stored)

    done = run("publish", "logs", "--lines", input=b"")

    assert done.exit_code == 130
    assert done.stderr.startswith("published 1 of at least 1 lines; line 2 and what follows were")


def test_with_retry_the_same_batch_goes_again_under_the_same_keys(double, run, monkeypatch):
    monkeypatch.setattr("broker.cli.retrying.FIRST_PAUSE_SECONDS", 0)
    later = (503, {"detail": "not now"}, {"retry-after": "0"})
    double.will_answer(stored, double.LOST, later, FULL[:2] + ({"retry-after": "0"},), stored)

    done = run("publish", "logs", "--lines", "--retry", "60", input=b"x\n" * 1003)

    assert done.exit_code == 0
    assert done.stderr.splitlines()[-1] == "published 1003 messages to logs"
    keys = [[m["dedup_key"] for m in request.json["messages"]] for request in double.asked]
    assert keys[1] == keys[2] == keys[3] == keys[4]
    run_id = keys[0][0].removesuffix(":1")
    assert keys[0] + keys[1] == [f"{run_id}:{number}" for number in range(1, 1004)]


def test_two_runs_never_share_keys(double, run):
    double.will_answer(stored, stored)

    run("publish", "logs", "x", "--retry", "60")
    run("publish", "logs", "x", "--retry", "60")

    first, second = (request.json["messages"][0]["dedup_key"] for request in double.asked)
    assert first != second


def test_retry_keeps_a_key_that_was_given(double, run):
    double.will_answer(stored)

    run("publish", "logs", "x", "--retry", "60", "--dedup-key", "mine")

    assert double.asked[0].json["messages"][0]["dedup_key"] == "mine"


def test_without_retry_lines_have_no_keys(double, run):
    double.will_answer(stored)

    run("publish", "logs", "--lines", input=b"x\n")

    assert double.asked[0].json["messages"] == [{"content": "x"}]
