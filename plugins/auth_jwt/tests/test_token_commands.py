"""`broker token`: what it makes, what it prints, and with which code it ends."""

import json
import re
from datetime import datetime, timedelta

import click
import pytest

from broker_auth_jwt.service_tokens import read_service_token
from broker_auth_jwt.token_commands import token


def tokens(administration, **options):
    return administration.ask(lambda accounts: accounts.service_tokens.list(), **options)


def make(administration, name="shop", *args):
    done = administration.run("token", "create", name, "--grant", "producer", *args)
    assert done.exit_code == 0
    return read_service_token(done.stdout.strip())[0]


def test_a_token_alone_is_on_stdout(administration):
    done = administration.run(
        "token", "create", "shop", "--grant", "publish:orders-*", "--grant", "viewer"
    )

    assert done.exit_code == 0
    token_id, secret = read_service_token(done.stdout.removesuffix("\n"))
    assert re.fullmatch(
        token_id
        + r" \(shop\) is valid until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z; it is not shown again\n",
        done.stderr,
    )
    [found] = tokens(administration)
    assert (found.id, found.name, found.grants) == (
        token_id,
        "shop",
        {"publish:orders-*", "viewer"},
    )
    assert found.matches(secret)
    [line] = administration.audit()
    line.pop("expires_at")
    assert line == {
        "action": "token.created",
        "token_id": token_id,
        "token_name": "shop",
        "grants": ["publish:orders-*", "viewer"],
    }


@pytest.mark.parametrize(
    ("args", "lifetime"),
    [
        ((), timedelta(days=90)),
        (("--expires", "30d"), timedelta(days=30)),
        (("--expires", "90s"), timedelta(seconds=90)),
    ],
)
def test_a_token_ends_by_itself(administration, args, lifetime):
    done = administration.run("token", "create", "shop", "--grant", "producer", *args, "--json")

    told = json.loads(done.stdout)
    times = [datetime.fromisoformat(told[name]) for name in ("created_at", "expires_at")]
    assert times[1] - times[0] == lifetime


def test_a_token_may_never_end(administration):
    done = administration.run("token", "create", "shop", "--grant", "producer", "--never", "--json")

    told = json.loads(done.stdout)
    assert read_service_token(told.pop("token"))[0] == told["id"]
    assert datetime.fromisoformat(told.pop("created_at"))
    assert told == {
        "id": told["id"],
        "name": "shop",
        "state": "valid",
        "grants": ["producer"],
        "scopes": ["publish:*"],
        "expires_at": None,
        "revoked_at": None,
        "last_used_at": None,
    }
    assert done.stderr.endswith("is valid until it is revoked; it is not shown again\n")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["shop"], "Missing option '--grant'"),
        (["shop", "--grant", "boss"], '"boss" is no role (admin, consumer, producer, viewer)'),
        (["a b", "--grant", "producer"], "broker: name: expected 1 to 128 letters of ASCII"),
        (["shop", "--grant", "producer", "--expires", "soon"], "expected a duration"),
        (["shop", "--grant", "producer", "--expires", "0s"], "expected 1s to 3650d"),
        (["shop", "--grant", "producer", "--expires", "9999d"], "expected 1s to 3650d"),
        (["shop", "--grant", "producer", "--expires", "1d", "--never"], "give --expires or --n"),
    ],
)
def test_what_no_token_can_have_is_exit_code_2(administration, args, told):
    done = administration.run("token", "create", *args)

    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr
    assert tokens(administration) == []


def test_tokens_are_listed_without_their_secrets(administration):
    first = make(administration, "shop", "--never")
    second = make(administration, "till", "--expires", "1s")
    third = make(administration, "shop", "--never")
    administration.run("token", "revoke", third)
    administration.ask(lambda accounts: accounts.service_tokens.note_used({first: 1_000}))
    administration.ask(
        lambda accounts: accounts.service_tokens._database.change(
            lambda tx: tx.execute(
                "UPDATE broker_service_tokens SET expires_at = 2000 WHERE id = :id", id=second
            )
        )
    )

    done = administration.run("token", "list")

    assert sorted(done.stdout.splitlines()) == sorted(
        [
            f"{first}\tshop\tvalid\tproducer\t\t1970-01-01T00:00:01.000Z",
            f"{second}\ttill\texpired\tproducer\t1970-01-01T00:00:02.000Z\t",
            f"{third}\tshop\trevoked\tproducer\t\t",
        ]
    )
    told = json.loads(administration.run("token", "list", "--json").stdout)
    assert {row["id"]: (row["state"], row["last_used_at"]) for row in told} == {
        first: ("valid", "1970-01-01T00:00:01.000Z"),
        second: ("expired", None),
        third: ("revoked", None),
    }
    for found in tokens(administration):
        assert found.digest not in done.stdout + str(told)


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_token_is_revoked(administration, by):
    token_id = make(administration)
    before = administration.ask(lambda accounts: accounts.changes.current())

    done = administration.run("token", "revoke", token_id if by == "id" else "shop", "--json")

    assert (done.exit_code, done.stderr) == (0, f"revoked {token_id} (shop)\n")
    assert json.loads(done.stdout)["state"] == "revoked"
    [found] = tokens(administration)
    assert found.revoked_at is not None
    assert administration.ask(lambda accounts: accounts.changes.current()) == before + 1
    assert administration.audit()[1:] == [
        {"action": "token.revoked", "token_id": token_id, "token_name": "shop"}
    ]


def test_a_name_of_two_tokens_does_not_say_which(administration):
    ids = [make(administration), make(administration)]

    done = administration.run("token", "revoke", "shop")

    assert done.exit_code == 2
    assert '2 tokens have the name "shop"; give an id: ' in done.stderr
    assert all(token_id in done.stderr for token_id in ids)
    assert administration.run("token", "revoke", ids[0]).exit_code == 0
    assert administration.run("token", "revoke", "shop").stderr == f"revoked {ids[1]} (shop)\n"


def test_a_token_that_is_not_there_or_revoked_already_is_exit_code_3(administration):
    token_id = make(administration)
    administration.run("token", "revoke", token_id)

    for text in ("nothing", token_id, "shop"):
        done = administration.run("token", "revoke", text)
        assert (done.exit_code, done.stderr) == (
            3,
            f'broker: there is no token "{text}" that could be revoked\n',
        )


def test_no_secret_is_kept(administration):
    done = administration.run("token", "create", "shop", "--grant", "producer")
    _, secret = read_service_token(done.stdout.strip())

    for path in administration.directory.iterdir():
        assert secret.encode() not in path.read_bytes()


def test_tokens_can_be_in_postgresql(administration, postgres_url):
    administration.configure(f'database_url = "{postgres_url}"')

    token_id = make(administration)

    assert [found.id for found in tokens(administration, url=postgres_url)] == [token_id]
    assert administration.run("token", "revoke", "shop").exit_code == 0
    assert "\trevoked\t" in administration.run("token", "list").stdout


@pytest.mark.parametrize("name", token.commands)
def test_every_command_explains_itself_with_an_example_and_answers_in_json(name):
    command = token.commands[name]
    assert isinstance(command, click.Command)
    assert re.search(rf"Example: .*broker token {name}", command.help)
    assert "--json" in [option for parameter in command.params for option in parameter.opts]
