"""`broker queue` against a broker that answers as a test wants it to."""

import json

import pytest

OK = {"detail": "done"}


def row(name, **changes):
    counts = {"pending": 3, "processing": 2, "processed": 1, "failed": 0, "scheduled": 1}
    return {"name": name, "counts": counts, "policy": {"paused": False}, **changes}


def asked(double):
    return [(request.method, request.path, request.json) for request in double.asked]


def test_a_list_in_a_pipe_is_a_line_for_each_queue_with_tabs(double, run):
    double.will_answer((200, [row("a"), row("b", policy={"paused": True})]))

    done = run("queue", "list")

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "a\t3\t1\t2\t1\t0\t\nb\t3\t1\t2\t1\t0\tpaused\n"


def test_a_list_goes_on_while_there_is_a_next_page(double, run):
    link = {"link": '</queues?after=b>; rel="next"'}
    double.will_answer((200, [row("a"), row("b")], link), (200, [row("c")]))

    done = run("queue", "list", "--prefix", "x.", "--json")

    assert [found["name"] for found in json.loads(done.stdout)] == ["a", "b", "c"]
    assert [request.path for request in double.asked] == [
        "/queues?limit=1000&prefix=x.",
        "/queues?limit=1000&prefix=x.&after=b",
    ]


def test_no_queue_at_all_is_no_error(double, run):
    double.will_answer((200, []), (200, []))

    assert run("queue", "list").stdout == ""
    assert run("queue", "list", "--json").stdout == "[]\n"


def test_a_queue_is_made_with_what_was_given(double, run):
    double.will_answer((201, {"name": "q"}))

    done = run("queue", "create", "q", "--lease-seconds", "60", "--max-deliveries", "none")

    assert asked(double) == [
        ("POST", "/queues", {"name": "q", "lease_seconds": 60, "max_deliveries": None})
    ]
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "created q\n")


def test_json_of_a_new_queue_is_the_queue(double, run):
    double.will_answer((201, {"name": "q", "version": 1}))

    assert json.loads(run("queue", "create", "q", "--json").stdout) == {"name": "q", "version": 1}


def test_a_queue_that_exists_is_an_error(double, run):
    double.will_answer((409, {"detail": 'there is a queue "q" already', "code": "queue-exists"}))

    done = run("queue", "create", "q")

    assert (done.exit_code, done.stderr) == (1, 'broker: there is a queue "q" already\n')


def test_a_queue_that_exists_is_left_alone_if_so_wanted(double, run):
    double.will_answer((409, {"detail": "there already"}), (200, {"name": "q", "version": 7}))

    done = run("queue", "create", "q", "--if-missing", "--json")

    assert (done.exit_code, json.loads(done.stdout)["version"]) == (0, 7)
    assert done.stderr == "q is there already\n"


def test_every_refused_field_is_a_line_and_exit_code_2(double, run):
    errors = [{"field": "dead_letter_queue", "message": "there is no such queue"}]
    detail = "dead_letter_queue: there is no such queue"
    double.will_answer((422, {"detail": detail, "code": "invalid", "errors": errors}))

    done = run("queue", "create", "q", "--dead-letter-queue", "none.such")

    assert (done.exit_code, done.stderr) == (2, f"broker: {detail}\n")


def test_a_queue_in_a_pipe_is_a_line_for_each_field(double, run):
    double.will_answer((200, {"name": "q", "oldest_at": None, "policy": {"paused": False}}))

    assert run("queue", "show", "q").stdout == "name\tq\noldest_at\t\npolicy.paused\tfalse\n"


def test_a_queue_as_json_is_the_brokers_document(double, run):
    double.will_answer((200, row("q")))

    assert json.loads(run("queue", "show", "q", "--json").stdout) == row("q")


def test_a_missing_queue_is_exit_code_3(double, run):
    double.will_answer((404, {"detail": 'there is no queue "q"'}))

    assert run("queue", "show", "q").exit_code == 3


def test_only_what_is_given_is_changed(double, run):
    double.will_answer((200, {"name": "q"}))

    done = run("queue", "set", "q", "--default-ttl", "none")

    assert asked(double) == [("PATCH", "/queues/q", {"default_ttl": None})]
    assert (done.exit_code, done.stderr) == (0, "changed q\n")


def test_a_change_of_nothing_is_a_usage_error(double, run):
    done = run("queue", "set", "q")

    assert (done.exit_code, double.asked) == (2, [])


@pytest.mark.parametrize("action", ["delete", "purge"])
def test_what_destroys_is_refused_without_a_terminal_to_ask_on(double, run, action):
    done = run("queue", action, "q")

    assert (done.exit_code, double.asked) == (2, [])
    assert "without a terminal to ask on, give --yes" in done.stderr


def on_a_terminal(monkeypatch):
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda self: True)


def test_on_a_terminal_what_destroys_asks(double, run, monkeypatch):
    on_a_terminal(monkeypatch)
    double.will_answer((204, b""))

    done = run("queue", "delete", "q", input="y\n")

    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.startswith("Delete q with everything in it? [y/N]: ")
    assert asked(double) == [("DELETE", "/queues/q", None)]


def test_who_says_no_destroys_nothing(double, run, monkeypatch):
    on_a_terminal(monkeypatch)

    done = run("queue", "purge", "q", input="n\n")

    assert (done.exit_code, double.asked) == (1, [])


def test_yes_is_not_asked(double, run):
    double.will_answer((204, b""))

    done = run("queue", "delete", "q", "--yes", "--json")

    assert (done.exit_code, json.loads(done.stdout)) == (0, {"queue": "q", "deleted": True})


def test_purge_names_the_states(double, run):
    double.will_answer((200, {"count": 5}), (200, {"count": 2}), (200, {"count": 1}))

    done = run("queue", "purge", "q", "--yes")
    run("queue", "purge", "q", "--yes", "--state", "failed", "--state", "processed")
    run("queue", "purge", "q", "--yes", "--state", "failed", "--older-than", "2h")

    assert done.stderr == "removed 5 messages from q\n"
    assert asked(double) == [
        ("POST", "/queues/q/purge", {"states": ["pending"]}),
        ("POST", "/queues/q/purge", {"states": ["failed", "processed"]}),
        ("POST", "/queues/q/purge", {"states": ["failed"], "older_than": 7200.0}),
    ]


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("pause", "paused q\n"),
        ("resume", "resumed q\n"),
        ("redrive", "brought back 4 messages\n"),
    ],
)
def test_an_action_is_told_and_counted(double, run, action, told):
    double.will_answer((200, {"count": 4}), (200, {"count": 4}))

    assert run("queue", action, "q").stderr == told
    assert json.loads(run("queue", action, "q", "--json").stdout) == {"queue": "q", "count": 4}
    assert asked(double)[0] == ("POST", f"/queues/q/{action}", None)


def test_the_token_comes_from_the_environment_alone(double, run):
    double.will_answer((200, []), (200, []))

    run("queue", "list", env={"BROKER_TOKEN": " s3cret\n"})
    run("queue", "list", env={"BROKER_TOKEN": ""})

    headers = [request.headers["authorization"] for request in double.asked]
    assert headers == ["Bearer s3cret", None]


def test_the_option_wins_over_the_environment(double, run):
    double.will_answer((200, []))

    done = run("queue", "list", "--url", double.url, env={"BROKER_URL": "http://127.0.0.1:1"})

    assert done.exit_code == 0
