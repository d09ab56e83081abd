"""`broker login`, `broker logout`, and what they mean for other commands."""

import json
import os
import pty
import socket
import subprocess
import sys
import time

import pytest

from broker.cli.tokens import TokenFile, Tokens

PASSWORD = "corr3ct horse & more=ä"
ISSUED = {
    "access_token": "acc3ss",
    "refresh_token": "r3fresh",
    "token_type": "bearer",
    "expires_in": 900,
}
SECRETS = (PASSWORD, "corr3ct", "acc3ss", "r3fresh")
REFUSED = (401, {"detail": "the user or the password is wrong"})
LASTS = "the login is removed here only; at the broker it lasts until it expires\n"

pytestmark = pytest.mark.usefixtures("config_home")


def kept(url):
    return TokenFile(url).read()


def keep(url, *, seconds=900):
    file = TokenFile(url)
    with file.locked():
        file.write(Tokens("anna", "acc3ss", "r3fresh", time.time() + seconds))


def asked(double):
    return [(request.path, request.headers["authorization"]) for request in double.asked]


def test_a_login_asks_for_tokens_and_keeps_them(double, run):
    double.will_answer((200, ISSUED))
    before = time.time()

    done = run("login", "anna", input=f"{PASSWORD}\nanother line\n")

    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == f"logged in at {double.url} as anna\n"
    [request] = double.asked
    assert (request.method, request.path) == ("POST", "/login")
    assert request.form == [
        ("grant_type", "password"),
        ("username", "anna"),
        ("password", PASSWORD),
    ]
    found = kept(double.url)
    assert (found.user, found.access_token, found.refresh_token) == ("anna", "acc3ss", "r3fresh")
    assert before + 900 <= found.expires_at <= time.time() + 900


def test_a_login_can_answer_in_json(double, run):
    double.will_answer((200, ISSUED))

    done = run("login", "anna", "--json", input=PASSWORD)

    assert json.loads(done.stdout) == {"url": double.url, "user": "anna"}


def test_other_commands_work_as_who_is_logged_in(double, run):
    double.will_answer((200, ISSUED), (200, []), (200, []))

    run("login", "anna", "--url", f"{double.url}/", input=PASSWORD)
    run("queue", "list")
    run("queue", "list", env={"BROKER_TOKEN": "0ther"})

    assert [header for _, header in asked(double)] == [None, "Bearer acc3ss", "Bearer 0ther"]


def test_a_login_does_not_use_the_one_that_is_there(double, run):
    keep(double.url, seconds=-1)
    double.will_answer((200, {**ISSUED, "access_token": "newer"}))

    run("login", "anna", input=PASSWORD)

    assert asked(double) == [("/login", None)]
    assert kept(double.url).access_token == "newer"


def test_who_has_a_token_in_the_environment_hears_that_it_wins(double, run):
    double.will_answer((200, ISSUED))

    done = run("login", "anna", input=PASSWORD, env={"BROKER_TOKEN": "0ther"})

    assert done.stderr.splitlines()[1] == (
        "BROKER_TOKEN is set, too, and wins: unset it to work with this login"
    )
    assert asked(double) == [("/login", None)]


def test_a_password_is_typed_unseen_on_a_terminal(double, config_home):
    double.will_answer((200, ISSUED))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "broker", "login", "--url", double.url],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    for prompt, answer in ((b"User: ", b"anna\n"), (b"Password: ", PASSWORD.encode() + b"\n")):
        while not shown.endswith(prompt):
            shown += os.read(ours, 1000)
        os.write(ours, answer)
    assert process.wait(30) == 0
    while b"logged in" not in shown:
        shown += os.read(ours, 1000)
    os.close(ours)

    assert shown.decode().splitlines() == [
        "User: anna",
        "Password: ",
        f"logged in at {double.url} as anna",
    ]
    assert dict(double.asked[0].form)["password"] == PASSWORD


@pytest.mark.parametrize(
    ("answer", "exit_code", "told"),
    [
        (REFUSED, 4, "the user or the password is wrong"),
        ((429, {"detail": "try again in 60 s"}), 5, "try again in 60 s"),
        ((422, {"detail": "password: is too long"}), 2, "password: is too long"),
        (
            (404, {"detail": "there is nothing here"}),
            1,
            "the broker at {url} lets nobody log in; a plugin does that, auth_jwt for example",
        ),
        (
            (200, {"access_token": "acc3ss"}),
            1,
            "what answers at {url} is not a broker: Object missing required field `refresh_token`",
        ),
    ],
)
def test_a_login_that_fails_keeps_nothing(double, run, answer, exit_code, told):
    double.will_answer(answer)

    done = run("login", "anna", input=PASSWORD)

    assert (done.exit_code, done.stdout) == (exit_code, "")
    assert done.stderr == f"broker: {told.format(url=double.url)}\n"
    assert kept(double.url) is None


@pytest.mark.parametrize(
    ("args", "given", "told"),
    [
        ([], b"x\n", "name the USER: without a terminal, stdin is the password"),
        (["anna"], b"", "there is no password: the first line of stdin is empty"),
        (["anna"], b"\nx\n", "there is no password: the first line of stdin is empty"),
        (["anna"], b"\xff\n", "the password is not UTF-8"),
        (["anna", "--url", "http://me:s3cret@h"], b"x\n", "leave out the password to log in"),
    ],
)
def test_what_is_not_said_rightly_is_a_usage_error(double, run, args, given, told):
    done = run("login", *args, input=given)

    assert done.exit_code == 2
    assert told in done.stderr
    assert "s3cret" not in done.stderr
    assert double.asked == []


def test_a_name_that_is_no_text_is_for_the_broker_to_refuse(double, run):
    double.will_answer((422, {"detail": "form: expected at most 16 fields of UTF-8"}))

    done = run("login", "ann\udcff", input=PASSWORD)

    assert (done.exit_code, done.stderr) == (
        2,
        "broker: form: expected at most 16 fields of UTF-8\n",
    )
    assert kept(double.url) is None


def test_there_is_no_option_for_a_password(run):
    assert "--password" not in run("login", "--help").stdout


def test_plain_http_to_another_machine_is_warned_of(run, monkeypatch):
    def fail(*args, **options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    done = run("login", "anna", "--url", "http://broker.invalid", input=PASSWORD)

    assert done.stderr.splitlines()[0] == (
        "warning: http://broker.invalid is plain http, so others may read the password"
    )


@pytest.mark.parametrize(
    "answers",
    [
        [REFUSED],
        [(500, b"oops")],
        [(200, {**ISSUED, "expires_in": "acc3ss"})],
        [(200, {**ISSUED, "access_token": "acc3ss\nr3fresh"})],
    ],
)
def test_a_traceback_holds_no_secret(double, answers):
    double.will_answer(*answers)
    command = [sys.executable, "-m", "broker", "--debug", "login", "anna", "--url", double.url]

    done = subprocess.run(command, input=PASSWORD.encode(), capture_output=True)

    assert done.returncode in (1, 4)
    assert b"Traceback" in done.stderr
    assert [secret for secret in SECRETS if secret.encode() in done.stderr + done.stdout] == []


@pytest.mark.parametrize("answer", [REFUSED, (500, b"oops"), (200, {**ISSUED, "access_token": 7})])
def test_a_traceback_of_another_command_holds_no_secret(double, answer):
    keep(double.url, seconds=-1)
    double.will_answer(answer)
    command = [sys.executable, "-m", "broker", "--debug", "queue", "list", "--url", double.url]

    done = subprocess.run(command, capture_output=True)

    assert b"Traceback" in done.stderr
    assert [secret for secret in SECRETS if secret.encode() in done.stderr + done.stdout] == []


def test_a_logout_ends_the_login_there_and_here(double, run):
    keep(double.url)
    double.will_answer((204, b""))

    done = run("logout")

    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == f"logged anna out at {double.url}\n"
    assert asked(double) == [("/logout", "Bearer acc3ss")]
    assert kept(double.url) is None


def test_a_logout_ends_what_login_began_whatever_the_environment_says(double, run):
    keep(double.url)
    double.will_answer((204, b""))

    done = run("logout", "--json", env={"BROKER_TOKEN": "0ther"})

    assert json.loads(done.stdout) == {"url": double.url, "user": "anna"}
    assert asked(double) == [("/logout", "Bearer acc3ss")]


def test_a_logout_renews_a_token_that_is_over_to_end_the_login(double, run):
    keep(double.url, seconds=-1)
    double.will_answer((200, {**ISSUED, "access_token": "newer"}), (204, b""))

    assert run("logout").exit_code == 0

    assert asked(double) == [("/refresh", "Bearer r3fresh"), ("/logout", "Bearer newer")]
    assert kept(double.url) is None


@pytest.mark.parametrize("seconds", [900, -1])
def test_a_logout_of_a_login_that_is_over_is_no_error(double, run, seconds):
    keep(double.url, seconds=seconds)
    double.will_answer(REFUSED, REFUSED)

    assert run("logout").exit_code == 0
    assert kept(double.url) is None


def test_a_logout_where_nobody_is_logged_in_is_no_error(double, run):
    done = run("logout", "--json")

    assert (done.exit_code, json.loads(done.stdout)) == (0, {"url": double.url, "user": None})
    assert done.stderr == f"nobody is logged in at {double.url}\n"
    assert double.asked == []


def test_a_logout_that_reaches_no_broker_forgets_the_login_and_says_that_it_lasts(run):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    keep(url)

    done = run("logout", "--url", url)

    assert (done.exit_code, done.stdout) == (5, "")
    assert done.stderr.startswith(f"{LASTS}broker: cannot reach a broker at {url}; ")
    assert kept(url) is None


def test_a_logout_that_is_refused_forgets_the_login_too(double, run):
    keep(double.url)
    double.will_answer((500, {"detail": "oops"}))

    done = run("logout")

    assert (done.exit_code, done.stderr) == (1, f"{LASTS}broker: oops\n")
    assert kept(double.url) is None
