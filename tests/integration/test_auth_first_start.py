"""The first start: there is no password that anybody knows before."""

import re

import pytest
from click.testing import CliRunner
from guarded import PASSWORD, Guarded

from broker.cli import cli
from broker.errors import ConfigError

TOLD = re.compile(r'made the first user "admin" with the password ([A-Za-z0-9_-]{24})\Z')


@pytest.fixture
def start(serve, cheap_passwords, clean_environment):
    def start():
        return Guarded(serve(plugins=["memory", "auth_jwt"]))

    return start


def notices(broker):
    return broker.run(broker.server.assembly.notices())


def test_the_first_start_makes_an_admin_and_tells_the_password_once(start):
    broker = start()
    told, advice = notices(broker)
    password = TOLD.match(told)[1]

    access, _ = broker.tokens("admin", password)

    assert broker("GET", "/stats", access).status == 200
    assert advice == "this password is not shown again; change it: broker user passwd admin"
    assert notices(broker) == []
    again = start()
    assert notices(again) == []
    assert again.log_in("admin", password).status == 200


def test_two_first_starts_tell_two_passwords(serve, start, tmp_path):
    one = notices(start())
    (tmp_path / "auth.db").rename(tmp_path / "old.db")
    for name in ("auth.db-wal", "auth.db-shm"):
        (tmp_path / name).unlink()
    other = notices(start())

    assert TOLD.match(one[0])[1] != TOLD.match(other[0])[1]


def test_the_environment_may_give_the_password_which_is_not_shown(start, monkeypatch):
    monkeypatch.setenv("BROKER_ADMIN_PASSWORD", PASSWORD)
    broker = start()

    assert notices(broker) == [
        'made the first user "admin", with the password from BROKER_ADMIN_PASSWORD'
    ]
    assert broker.log_in("admin").status == 200


def test_the_environment_changes_no_password_that_is_there(start, monkeypatch):
    broker = start()
    broker.add("alice", "admin")
    monkeypatch.setenv("BROKER_ADMIN_PASSWORD", PASSWORD)

    assert notices(broker) == []
    assert broker.log_in("admin").status == 401


def test_a_broker_without_an_admin_says_so_at_each_start(start):
    broker = start()
    broker.add("anna", "producer")
    told = ["no user may do everything; let one: broker user grant NAME admin"]

    assert notices(broker) == told
    broker.add("root", "admin")
    assert notices(broker) == []
    broker.run(broker.accounts.users.set_disabled("root", True, now=broker.now))
    assert notices(broker) == told


@pytest.mark.parametrize("weak", ["", "admin", "changeme", "s3same", "x" * 1025])
def test_a_weak_password_stops_the_first_start_and_is_not_shown(start, monkeypatch, weak):
    monkeypatch.setenv("BROKER_ADMIN_PASSWORD", weak)
    broker = start()

    with pytest.raises(
        ConfigError, match=r"\ABROKER_ADMIN_PASSWORD: the password is .*; set"
    ) as refused:
        notices(broker)

    assert refused.value.exit_code == 78
    assert not weak or weak not in str(refused.value)
    assert broker.log_in("admin", weak or "x").status in {401, 422}


def test_a_doctor_makes_no_user(tmp_path, monkeypatch, clean_environment):
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "broker.toml"
    config.write_text('[broker]\nplugins = ["memory", "auth_jwt"]\n')

    CliRunner().invoke(cli, ["doctor"])
    done = CliRunner().invoke(cli, ["user", "list", "--json"])

    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == "[]"
