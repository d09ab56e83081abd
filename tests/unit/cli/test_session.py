"""Requests of who is logged in: with which token, and what happens when it is over."""

import fcntl
from threading import Event, Thread

import pytest

from broker.cli.client import Away, Client, NotAllowed, Refused
from broker.cli.session import Session, connect
from broker.cli.tokens import TokenFile, Tokens

BEGIN = 1_000.0
TOKENS = Tokens("anna", "access-1", "refresh-1", BEGIN + 900)
EXPIRED = (401, {"detail": "the token is not valid"})


class Time:
    now = BEGIN

    def __call__(self):
        return self.now


def issued(number):
    access, refresh = f"access-{number}", f"refresh-{number}"
    return 200, {
        "access_token": access,
        "refresh_token": refresh,
        "token_type": "bearer",
        "expires_in": 900,
    }


def asked(double):
    return [
        (request.path, request.headers["authorization"].removeprefix("Bearer "))
        for request in double.asked
    ]


@pytest.fixture
def clock():
    return Time()


@pytest.fixture
def file(double, config_home):
    file = TokenFile(double.url)
    with file.locked():
        file.write(TOKENS)
    return file


@pytest.fixture
def client(double, file, clock):
    with Client(double.url) as client:
        client.log_in(Session(client, file, file.read(), clock=clock))
        yield client


def test_a_good_token_goes_along_and_nothing_else_is_asked(double, client, clock):
    double.will_answer((200, []), (200, []))

    client.call("GET", "/queues")
    clock.now += 894
    client.call("GET", "/queues")

    assert asked(double) == [("/queues", "access-1")] * 2


@pytest.mark.parametrize("later", [895, 900, 1_000_000])
def test_a_token_that_is_over_is_renewed_first(double, client, file, clock, later):
    clock.now += later
    double.will_answer(issued(2), (200, []))

    client.call("GET", "/queues")

    assert asked(double) == [("/refresh", "refresh-1"), ("/queues", "access-2")]
    assert file.read() == Tokens("anna", "access-2", "refresh-2", clock.now + 900)


def test_new_tokens_are_on_disk_before_they_are_used(double, client, file, clock):
    clock.now += 900
    on_disk = []

    def answer(request):
        on_disk.append(TokenFile(double.url).read().access_token)
        return 200, []

    double.will_answer(issued(2), answer)
    client.call("GET", "/queues")

    assert on_disk == ["access-2"]


def test_a_refused_token_is_renewed_once_and_the_request_repeated(double, client):
    double.will_answer(EXPIRED, issued(2), (201, {"name": "q"}))

    assert client.call("POST", "/queues", json={"name": "q"}).status_code == 201

    assert asked(double) == [
        ("/queues", "access-1"),
        ("/refresh", "refresh-1"),
        ("/queues", "access-2"),
    ]
    assert double.asked[0].json == double.asked[2].json == {"name": "q"}


@pytest.mark.parametrize(
    ("later", "answers"), [(0, [EXPIRED, issued(2), EXPIRED]), (900, [issued(2), EXPIRED])]
)
def test_who_is_refused_with_a_new_token_is_told_to_log_in(double, client, clock, later, answers):
    clock.now += later
    double.will_answer(*answers)

    with pytest.raises(NotAllowed) as raised:
        client.call("GET", "/queues")

    assert len(double.asked) == len(answers)
    assert str(raised.value) == (
        f"the token is not valid\nlog in again: broker login --url {double.url}"
    )


def test_a_login_that_is_over_is_forgotten(double, client, file, clock):
    clock.now += 900
    double.will_answer(EXPIRED)

    with pytest.raises(NotAllowed) as raised:
        client.call("GET", "/queues")

    assert raised.value.exit_code == 4
    assert str(raised.value) == (
        f"the login at {double.url} is over\nlog in again: broker login --url {double.url}"
    )
    assert file.read() is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((503, {"detail": "later"}), Away),
        ((429, {"detail": "later"}), Away),
        ((500, {"detail": "oops"}), Refused),
        ((200, {"access_token": "access-2"}), Refused),
        ((200, {**issued(2)[1], "access_token": "two words"}), Refused),
        ((200, b"<html>"), Refused),
    ],
)
def test_a_refresh_that_fails_otherwise_leaves_the_login_alone(
    double, client, file, clock, answer, kind
):
    clock.now += 900
    double.will_answer(answer)

    with pytest.raises(kind) as raised:
        client.call("GET", "/queues")

    assert "access-" not in str(raised.value)
    assert file.read() == TOKENS


def test_a_refresh_whose_answer_is_lost_is_told_as_that(double, client, clock):
    clock.now += 900
    double.will_answer(double.LOST)

    with pytest.raises(Away, match="was lost before it answered"):
        client.call("GET", "/queues")


def test_what_another_command_renewed_is_taken(double, client, file, clock):
    file.write(Tokens("anna", "access-2", "refresh-2", BEGIN + 1_800))
    clock.now += 900
    double.will_answer((200, []))

    client.call("GET", "/queues")

    assert asked(double) == [("/queues", "access-2")]


def test_what_another_command_renewed_long_ago_is_renewed(double, client, file, clock):
    file.write(Tokens("anna", "access-2", "refresh-2", BEGIN + 1_800))
    clock.now += 1_800
    double.will_answer(issued(3), (200, []))

    client.call("GET", "/queues")

    assert asked(double) == [("/refresh", "refresh-2"), ("/queues", "access-3")]


def test_who_was_logged_out_meanwhile_is_told(double, client, file):
    file.remove()
    double.will_answer(EXPIRED)

    with pytest.raises(NotAllowed, match="the login at .* is over"):
        client.call("GET", "/queues")


def test_of_two_commands_one_renews_and_the_other_waits_for_it(
    double, client, file, clock, monkeypatch
):
    clock.now += 900
    waits = Event()
    lock = fcntl.flock

    def flock(*args):
        waits.set()
        lock(*args)

    double.will_answer((200, []))
    with file.locked():
        monkeypatch.setattr(fcntl, "flock", flock)
        thread = Thread(target=client.call, args=("GET", "/queues"))
        thread.start()
        assert waits.wait(10)
        file.write(Tokens("anna", "access-2", "refresh-2", clock.now + 900))
    thread.join()

    assert asked(double) == [("/queues", "access-2")]


def test_a_long_consumer_goes_on_through_many_tokens(double, client, clock):
    def answer(request):
        token = request.headers["authorization"].removeprefix("Bearer ")
        kind, _, number = token.partition("-")
        if request.path == "/refresh":
            assert (kind, number) == ("refresh", str(answer.current))
            answer.current += 1
            answer.ends = clock.now + 900
            return issued(answer.current)
        return (200, []) if number == str(answer.current) and clock.now < answer.ends else EXPIRED

    answer.current, answer.ends = 1, BEGIN + 900
    double.will_answer(*[answer] * 100)
    for _ in range(24):  # two hours
        client.call("POST", "/queues/q/messages/lease", json={"wait": 20})
        clock.now += 300

    assert answer.current == 8
    assert len(double.asked) == 24 + 7


def test_the_token_of_the_environment_wins_and_the_files_are_not_even_read(
    double, file, monkeypatch
):
    file.path.chmod(0o644)
    monkeypatch.setenv("BROKER_TOKEN", " other\n")
    double.will_answer((200, []), EXPIRED)

    with connect(double.url) as client:
        client.call("GET", "/queues")
        with pytest.raises(NotAllowed):
            client.call("GET", "/queues")

    assert asked(double) == [("/queues", "other")] * 2


def test_an_address_with_a_password_speaks_for_itself(double, file):
    double.will_answer((200, []))

    with connect(double.url.replace("//", "//me:secret@")) as client:
        client.call("GET", "/queues")

    assert double.asked[0].headers["authorization"].startswith("Basic ")


def test_a_broker_below_a_path_renews_there(double, config_home, clock):
    file = TokenFile(f"{double.url}/mq")
    double.will_answer(issued(2), (200, []))
    with file.locked():
        file.write(Tokens("anna", "access-1", "refresh-1", 0))

    with connect(f"{double.url}/mq/") as client:
        client.call("GET", "/queues")

    assert asked(double) == [("/mq/refresh", "refresh-1"), ("/mq/queues", "access-2")]
