"""`broker user`: what it changes, what it prints, and with which code it ends."""

import asyncio
import getpass
import json
import os
import pty
import subprocess
import sys
from datetime import datetime

import click
import pytest

from broker_auth_jwt.passwords import Passwords
from broker_auth_jwt.user_commands import user

PASSWORD = "corr3ct hörse"
FAR = 10**15
LAST = (
    'broker: "anna" is the last admin who can log in; make somebody else one before: '
    "broker user grant NAME admin, or give --force\n"
)


def find(administration, name="anna", **options):
    return administration.ask(lambda accounts: accounts.users.find(name), **options)


def is_password_of(found, password):
    async def verify():
        passwords = Passwords()
        await passwords.open()
        try:
            return bool(await passwords.verify(password, found.password_hash))
        finally:
            await passwords.close()

    return asyncio.run(verify())


def test_a_user_is_added_with_the_password_of_the_first_line(administration):
    done = administration.run(
        *("user", "add", "anna", "--grant", "producer", "--grant", "read:orders-*"),
        input=f"{PASSWORD}\nanother line\n",
    )

    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "added anna\n")
    found = find(administration)
    assert found.grants == {"producer", "read:orders-*"}
    assert is_password_of(found, PASSWORD)
    assert administration.audit() == [
        {"action": "user.added", "user": "anna", "grants": ["producer", "read:orders-*"]}
    ]


def test_nothing_is_granted_unless_it_is_said(administration):
    done = administration.run("user", "add", "anna", "--json", input=PASSWORD)

    assert done.stderr == "added anna, to whom nothing is granted yet\n"
    told = json.loads(done.stdout)
    assert told.pop("created_at") == told.pop("changed_at")
    assert told == {"name": "anna", "grants": [], "scopes": [], "disabled": False}


def test_a_user_is_not_added_twice_and_no_password_is_asked_for(administration):
    administration.add("anna")

    done = administration.run("user", "add", "anna")

    assert (done.exit_code, done.stderr) == (1, 'broker: there is a user "anna" already\n')


@pytest.mark.parametrize(
    ("args", "given", "told"),
    [
        (["an na"], PASSWORD, "broker: name: expected 1 to 128 letters of ASCII, digits and "),
        (["anna", "--grant", "boss"], PASSWORD, '"boss" is no role (admin, consumer, producer, '),
        (["anna", "--grant", "publish"], PASSWORD, '"publish" is no role (admin, consumer, prod'),
        (["anna"], "short\n", "the password is shorter than 8 bytes"),
        (["anna"], "Password123\n", "the password is one that everybody tries first"),
        (["anna"], "x" * 1025, "the password is longer than 1024 bytes"),
        (["anna"], "\n" + PASSWORD, "there is no password: the first line of stdin is empty"),
        (["anna"], b"\xff" * 9, "the password is not UTF-8"),
    ],
)
def test_what_no_user_can_have_is_exit_code_2(administration, args, given, told):
    done = administration.run("user", "add", *args, input=given)

    assert done.exit_code == 2
    assert told in done.stderr
    assert PASSWORD not in done.stderr
    assert find(administration) is None


def type_on_terminal(command, *dialogue):
    """Run a command on a terminal of its own; return its exit code and what the terminal showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "broker", *command],
        **{"stdin": theirs, "stdout": theirs, "stderr": theirs},
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    for prompt, answer in dialogue:
        asked = len(shown)
        while not shown.endswith(prompt) or len(shown) == asked:
            shown += os.read(ours, 1000)
        os.write(ours, answer.encode() + b"\n")
    try:
        while part := os.read(ours, 1000):
            shown += part
    except OSError:
        pass  # how a terminal tells that nobody is at its other end
    os.close(ours)
    return process.wait(), shown.decode().splitlines()


def test_a_password_is_typed_twice_and_unseen_on_a_terminal(administration):
    command = administration.command("user", "add", "anna")

    done = type_on_terminal(
        command,
        (b"Password: ", PASSWORD),
        (b"Repeat for confirmation: ", "another one"),
        (b"Password: ", PASSWORD),
        (b"Repeat for confirmation: ", PASSWORD),
    )

    assert done == (
        0,
        [
            "Password: ",
            "Repeat for confirmation: ",
            "Error: The two entered values do not match.",
            "Password: ",
            "Repeat for confirmation: ",
            "added anna, to whom nothing is granted yet",
        ],
    )
    assert is_password_of(find(administration), PASSWORD)


def test_users_are_listed(administration):
    administration.add("bob")
    administration.add("anna", "producer", "consumer")
    administration.run("user", "disable", "bob")

    assert administration.run("user", "list").stdout == (
        "anna\tenabled\tconsumer producer\nbob\tdisabled\t\n"
    )
    told = json.loads(administration.run("user", "list", "--json").stdout)
    assert [(row["name"], row["scopes"], row["disabled"]) for row in told] == [
        ("anna", ["consume:*", "publish:*"], False),
        ("bob", [], True),
    ]
    assert "hash" not in str(told)


def test_no_user_at_all_is_no_error(administration):
    assert administration.run("user", "list").stdout == ""
    assert administration.run("user", "list", "--json").stdout == "[]\n"


def test_a_user_is_shown_with_scopes_and_open_logins(administration):
    administration.configure('roles = { boss = ["manage:*", "read:*"] }')
    administration.add("anna", "boss", "publish:a", "gone")
    for session in "ab":
        administration.ask(
            lambda accounts, id_=session: accounts.sessions.begin(
                id_, user="anna", jti=id_, now=1_000, expires_at=FAR
            )
        )

    assert administration.run("user", "show", "anna").stdout == (
        "name\tanna\ngrants\tboss gone publish:a\nscopes\tmanage:* publish:a read:*\n"
        "disabled\tfalse\ncreated_at\t1970-01-01T00:00:01.000Z\nchanged_at\t1970-01-01T00:00:01.000Z\n"
        "sessions\t2\n"
    )
    assert json.loads(administration.run("user", "show", "anna", "--json").stdout) == {
        "name": "anna",
        "grants": ["boss", "gone", "publish:a"],
        "scopes": ["manage:*", "publish:a", "read:*"],
        "disabled": False,
        "created_at": "1970-01-01T00:00:01.000Z",
        "changed_at": "1970-01-01T00:00:01.000Z",
        "sessions": 2,
    }


def test_a_new_password_ends_every_login(administration):
    administration.add("anna")
    administration.ask(
        lambda accounts: accounts.sessions.begin(
            "a", user="anna", jti="a", now=1_000, expires_at=FAR
        )
    )

    done = administration.run("user", "passwd", "anna", "--json", input=PASSWORD)

    assert done.exit_code == 0
    assert done.stderr == (
        "changed the password of anna; who was logged in by it has to log in again\n"
    )
    told = json.loads(done.stdout)
    assert datetime.fromisoformat(told["changed_at"]) > datetime.fromisoformat(told["created_at"])
    found = find(administration)
    assert is_password_of(found, PASSWORD)
    assert found.token_version == 2
    assert administration.run("user", "show", "anna").stdout.endswith("sessions\t0\n")
    assert administration.audit() == [{"action": "user.password", "user": "anna"}]


def test_a_user_is_disabled_and_enabled(administration):
    administration.add("anna")

    done = administration.run("user", "disable", "anna", "--json")
    assert (json.loads(done.stdout)["disabled"], done.stderr) == (True, "disabled anna\n")
    assert find(administration).disabled

    done = administration.run("user", "enable", "anna", "--json")
    assert (json.loads(done.stdout)["disabled"], done.stderr) == (False, "enabled anna\n")
    assert not find(administration).disabled
    assert administration.audit() == [
        {"action": "user.disabled", "user": "anna"},
        {"action": "user.enabled", "user": "anna"},
    ]


def test_grants_come_and_go(administration):
    administration.add("anna", "viewer")

    done = administration.run("user", "grant", "anna", "producer", "consume:a", "--json")
    assert done.stderr == "anna may now do: consume:a, publish:*, read:*\n"
    assert json.loads(done.stdout)["grants"] == ["consume:a", "producer", "viewer"]

    done = administration.run("user", "revoke", "anna", "producer", "viewer")
    assert (done.exit_code, done.stderr) == (0, "anna may now do: consume:a\n")
    done = administration.run("user", "revoke", "anna", "consume:a", "--json")
    assert done.stderr == "anna may now do: nothing\n"
    assert find(administration).grants == frozenset()
    assert administration.audit() == [
        {"action": "user.granted", "user": "anna", "grants": ["consume:a", "producer"]},
        {"action": "user.revoked", "user": "anna", "grants": ["producer", "viewer"]},
        {"action": "user.revoked", "user": "anna", "grants": ["consume:a"]},
    ]


def test_what_is_no_role_and_no_scope_is_not_granted(administration):
    administration.add("anna")

    done = administration.run("user", "grant", "anna", "producer", "publisher")

    assert done.exit_code == 2
    assert '"publisher" is no role (admin, consumer, producer, viewer) and no scope' in done.stderr
    assert find(administration).grants == frozenset()


def test_what_was_never_granted_is_not_revoked_in_vain(administration):
    administration.add("anna", "producer", "viewer")

    done = administration.run("user", "revoke", "anna", "viewer", "publish:*")

    assert done.exit_code == 3
    assert done.stderr == ('broker: "publish:*" is not granted to "anna", but producer, viewer\n')
    assert find(administration).grants == {"producer", "viewer"}
    assert administration.audit() == []


def test_a_role_that_is_configured_no_more_can_be_revoked(administration):
    administration.add("anna", "gone")

    assert administration.run("user", "revoke", "anna", "gone").exit_code == 0
    assert find(administration).grants == frozenset()


@pytest.mark.parametrize("args", [("disable", "anna"), ("revoke", "anna", "admin")])
def test_the_last_admin_stays_unless_it_is_forced(administration, args):
    administration.add("anna", "admin")
    administration.add("bob", "producer")
    administration.add("eve", "admin")
    administration.run("user", "disable", "eve")

    done = administration.run("user", *args)

    assert (done.exit_code, done.stderr) == (1, LAST)
    found = find(administration)
    assert (found.disabled, found.grants) == (False, {"admin"})
    assert administration.run("user", *args, "--force").exit_code == 0


@pytest.mark.parametrize("args", [("disable", "anna"), ("revoke", "anna", "admin")])
def test_an_admin_beside_another_one_may_go(administration, args):
    administration.configure('roles = { boss = ["admin"] }')
    administration.add("anna", "admin")
    administration.add("bob", "boss")

    assert administration.run("user", *args).exit_code == 0


@pytest.mark.parametrize(
    "args", [("disable", "bob"), ("revoke", "bob", "viewer"), ("revoke", "anna", "viewer")]
)
def test_what_leaves_an_admin_needs_no_force(administration, args):
    administration.add("anna", "admin", "viewer")
    administration.add("bob", "viewer")

    assert administration.run("user", *args).exit_code == 0


@pytest.mark.parametrize(
    "args",
    [
        ("show",),
        ("passwd",),
        ("disable",),
        ("disable", "--force"),
        ("enable",),
        ("grant", "producer"),
        ("revoke", "producer"),
    ],
)
def test_a_user_who_is_not_there_is_exit_code_3(administration, args):
    command, *rest = args

    done = administration.run("user", command, "nobody", *rest)

    assert (done.exit_code, done.stderr) == (3, 'broker: there is no user "nobody"\n')
    assert administration.audit() == []


@pytest.mark.parametrize(
    "args",
    [("passwd", "anna"), ("disable", "anna"), ("grant", "anna", "viewer"), ("revoke", "anna", "x")],
)
def test_a_running_broker_hears_of_every_change(administration, args):
    administration.add("anna", "x")
    before = administration.ask(lambda accounts: accounts.changes.current())

    assert administration.run("user", *args, input=PASSWORD).exit_code == 0

    assert administration.ask(lambda accounts: accounts.changes.current()) == before + 1


def test_the_audit_knows_who_it_was_whatever_the_environment_says(administration, monkeypatch):
    me = getpass.getuser()
    monkeypatch.setenv("LOGNAME", "somebody")
    administration.add("anna")

    administration.run("user", "disable", "anna")

    [line] = (administration.directory / "audit.jsonl").read_text().splitlines()
    told = json.loads(line)
    assert (told["subject"], told["peer"]) == (f"cli:{me}", "local")


def test_nothing_is_changed_where_it_cannot_be_written_down(administration):
    administration.add("anna")
    administration.configure('audit = "/nowhere/audit.jsonl"')

    done = administration.run("user", "disable", "anna")

    assert done.exit_code == 78
    assert "plugins.auth_jwt.audit: cannot write /nowhere/audit.jsonl" in done.stderr
    assert not find(administration).disabled


def test_no_password_is_kept_or_told(administration):
    administration.run("user", "add", "anna", input=PASSWORD)
    administration.run("user", "passwd", "anna", input=PASSWORD + "2")

    for path in administration.directory.iterdir():
        assert PASSWORD.encode() not in path.read_bytes()


def test_users_can_be_in_postgresql(administration, postgres_url):
    administration.configure(f'database_url = "{postgres_url}"')

    done = administration.run("user", "add", "anna", "--grant", "admin", input=PASSWORD)
    assert (done.exit_code, done.stderr) == (0, "added anna\n")
    assert administration.run("user", "disable", "anna").exit_code == 1
    assert administration.run("user", "grant", "anna", "viewer").exit_code == 0
    assert administration.run("user", "list").stdout == "anna\tenabled\tadmin viewer\n"
    assert is_password_of(find(administration, url=postgres_url), PASSWORD)
    assert not (administration.directory / "auth.db").exists()


@pytest.mark.parametrize("name", user.commands)
def test_every_command_explains_itself_with_an_example_and_answers_in_json(name):
    command = user.commands[name]
    assert isinstance(command, click.Command)
    assert f"Example: broker user {name}" in command.help
    options = [option for parameter in command.params for option in parameter.opts]
    assert "--json" in options
    assert "--password" not in options
