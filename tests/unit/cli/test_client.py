"""From HTTP to exceptions with exit codes."""

import socket

import click
import pytest

from broker.cli.client import (
    Away,
    Client,
    NoRoom,
    NotAllowed,
    NotThere,
    Problem,
    Refused,
    RefusedField,
)
from broker.errors import BrokerError, FieldError, StorageFailed


def leaves(kind):
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in leaves(child))]


def call(url, **options):
    with Client(url) as client:
        return client.call("GET", "/queues", **options)


@pytest.mark.parametrize(
    ("status", "kind", "exit_code"),
    [
        (301, Refused, 1),
        (400, Refused, 1),
        (401, NotAllowed, 4),
        (403, NotAllowed, 4),
        (404, NotThere, 3),
        (405, Refused, 1),
        (409, Refused, 1),
        (412, Refused, 1),
        (413, Refused, 1),
        (415, Refused, 1),
        (422, RefusedField, 2),
        (429, Away, 5),
        (500, Refused, 1),
        (502, Away, 5),
        (503, Away, 5),
        (504, Away, 5),
        (507, NoRoom, 74),
    ],
)
def test_each_status_has_its_error_and_exit_code(double, status, kind, exit_code):
    double.will_answer((status, {"detail": "so it is", "code": "some"}))

    with pytest.raises(BrokerError) as raised:
        call(double.url)

    assert (type(raised.value), str(raised.value).splitlines()[0]) == (kind, "so it is")
    assert raised.value.exit_code == exit_code


def test_an_error_ends_a_command_with_the_code_that_the_broker_itself_gives_it():
    from broker.cli.client import _BY_STATUS, _MAY_PASS

    for leaf in leaves(BrokerError):
        # A failed disk is the end of the broker, and for its clients it is away.
        if leaf.__module__ == "broker.errors" and leaf.status != 500 and leaf != StorageFailed:
            kind = Away if leaf.status in _MAY_PASS else _BY_STATUS.get(leaf.status, Refused)
            assert (leaf, kind.exit_code) == (leaf, leaf.exit_code)


def test_every_refused_field_is_a_line():
    errors = [FieldError("a", "is bad"), FieldError("b", "is worse", 3)]

    assert Problem("a: is bad; b: is worse", errors=errors).text() == "a: is bad\nb: is worse"
    assert Problem("no", errors=errors).text() == "no\na: is bad\nb: is worse"


def test_a_thousand_refused_fields_are_not_a_thousand_lines():
    errors = [FieldError(f"messages[{n}].group", "is bad") for n in range(1000)]
    problem = Problem("; ".join(f"{error.field}: {error.message}" for error in errors), "", errors)

    lines = problem.text().splitlines()

    assert len(lines) == 11
    assert lines[-1] == "and 990 more"


def test_an_error_without_a_problem_document_is_told_by_its_status(double):
    double.will_answer((502, b"<html>nginx</html>"))

    with pytest.raises(Away) as raised:
        call(double.url)

    assert str(raised.value) == (
        f"{double.url} answered 502 Bad Gateway without saying why; is it a broker?"
    )


def test_an_answer_that_is_not_json_is_not_a_brokers(double):
    double.will_answer((200, b"<html>hello</html>"))

    with Client(double.url) as client, pytest.raises(Refused, match="is not a broker"):
        client.decode(client.call("GET", "/queues"))


def test_an_expected_error_status_is_an_answer(double):
    double.will_answer((409, {"detail": "there already"}))

    assert call(double.url, accept=(409,)).status_code == 409


def test_where_nothing_listens_the_remedy_is_named():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    with pytest.raises(Away) as raised:
        call(url)

    assert str(raised.value) == f'cannot reach a broker at {url}; start one with "broker serve"'
    assert raised.value.unsure is False


def test_a_host_that_does_not_exist_is_told_as_that(monkeypatch):
    def fail(*args, **options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)

    with pytest.raises(Away, match=r"at http://nowhere\.invalid \(.*Name or service not known\); "):
        call("http://nowhere.invalid")


def test_an_answer_that_never_comes_leaves_it_open_whether_anything_was_done(double):
    double.will_answer(double.LOST)

    with pytest.raises(Away, match="was lost before it answered") as raised:
        call(double.url)

    assert raised.value.unsure is True


@pytest.mark.parametrize(("header", "seconds"), [("3", 3.0), ("soon", None), ("", None)])
def test_the_time_to_come_again_is_kept(double, header, seconds):
    double.will_answer((503, {"detail": "later"}, {"retry-after": header}))

    with pytest.raises(Away) as raised:
        call(double.url)

    assert raised.value.retry_after == seconds


@pytest.mark.parametrize("url", ["127.0.0.1:8777", "ftp://host", "http://", "", "http://h:x"])
def test_an_address_that_is_none_is_a_usage_error(url):
    with pytest.raises(click.UsageError, match="--url or BROKER_URL: "):
        Client(url)


def test_a_password_in_the_address_is_used_and_never_shown(double):
    double.will_answer((500, b""))
    url = double.url.replace("http://", "http://me:secret@")

    with pytest.raises(Refused) as raised:
        call(url)

    assert "secret" not in str(raised.value)
    assert double.asked[0].headers["authorization"].startswith("Basic ")


def test_a_token_goes_along_with_every_request(double):
    double.will_answer((200, []), (200, []))

    with Client(double.url, token="t0ken") as client:
        client.call("GET", "/queues")
        client.call("POST", "/queues", json={})

    assert [request.headers["authorization"] for request in double.asked] == ["Bearer t0ken"] * 2


def test_who_is_not_known_hears_how_to_log_in(double, monkeypatch):
    double.will_answer(*[(401, {"detail": "credentials are missing"})] * 3)

    with pytest.raises(NotAllowed) as raised:
        call(double.url)
    assert str(raised.value) == (
        "credentials are missing\n"
        f"log in with: broker login --url {double.url}; or set BROKER_TOKEN"
    )

    monkeypatch.setenv("BROKER_URL", double.url + "/")
    with pytest.raises(NotAllowed, match="log in with: broker login; or set BROKER_TOKEN"):
        call(double.url)

    with Client(double.url, token="t0ken") as client, pytest.raises(NotAllowed) as raised:
        client.call("GET", "/queues")
    assert str(raised.value) == (
        "credentials are missing\nthe token in BROKER_TOKEN is over, or is not for this broker"
    )


@pytest.mark.parametrize(
    ("wanted", "remedy"),
    [
        (
            'Basic realm="broker"',
            "this broker asks for Basic: set BROKER_URL to an address with NAME:PASSWORD@ in it",
        ),
        (
            "Negotiate",
            "this broker asks for Negotiate; the broker command sends Bearer or Basic only",
        ),
        ('Basic, Bearer error="invalid_token"', "the token in BROKER_TOKEN is over, or is not for"),
    ],
)
def test_who_shows_what_the_broker_does_not_take_hears_what_it_asks_for(double, wanted, remedy):
    double.will_answer((401, {"detail": "no"}, {"WWW-Authenticate": wanted}))

    with Client(double.url, token="t0ken") as client, pytest.raises(NotAllowed) as raised:
        client.call("GET", "/queues")

    assert str(raised.value).startswith(f"no\n{remedy}")


def test_a_password_in_the_address_that_is_not_right_is_told_and_not_shown(double):
    double.will_answer((401, {"detail": "no"}, {"WWW-Authenticate": "Basic"}))

    with pytest.raises(NotAllowed) as raised:
        call(double.url.replace("http://", "http://me:secret@"))

    assert str(raised.value) == "no\nthe name or the password in the address is not right"


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "schlüssel"])
def test_a_token_that_is_none_is_refused_and_never_shown(token):
    with pytest.raises(click.UsageError) as raised:
        Client("http://127.0.0.1:1", token=token)

    assert raised.value.message == "BROKER_TOKEN: expected a token: visible ASCII, without blanks"


@pytest.mark.parametrize(
    ("url", "is_overheard"),
    [
        ("http://broker.example", True),
        ("https://broker.example", False),
        ("http://localhost:8777", False),
        ("http://127.0.0.1:8777", False),
    ],
)
def test_plain_http_is_overheard_unless_it_stays_on_this_machine(url, is_overheard):
    with Client(url) as client:
        assert client.is_overheard is is_overheard


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(double, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    double.will_answer((200, []))

    assert call(double.url).status_code == 200


def test_a_broker_may_stand_below_a_path(double):
    double.will_answer((200, []))

    call(double.url + "/broker/")

    assert double.asked[0].path == "/broker/queues"


@pytest.mark.parametrize(("code", "is_unsure"), [("storage-failed", True), ("closed", False)])
def test_a_storage_that_failed_leaves_it_open_too(double, code, is_unsure):
    double.will_answer((503, {"detail": "no", "code": code}))

    with pytest.raises(Away) as raised:
        call(double.url)

    assert raised.value.unsure is is_unsure
