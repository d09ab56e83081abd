"""Brokers in programs of others: by a file, by tables, with and without HTTP."""

import contextlib
from pathlib import Path

import pytest

from broker import ConfigError, Identity, QueueSpec, create_app, open_broker

ADMIN = Identity(subject="ann", scopes=frozenset({"admin"}))

KNOWN = {"plugins": ["memory"], "anonymous": True}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, clean_environment):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextlib.asynccontextmanager
async def served(config=None):
    async with create_app(config).test_app() as app:
        answer = await app.test_client().post("/queues", json={"name": "q"})
        yield answer.status_code


@contextlib.asynccontextmanager
async def opened(config=None):
    async with open_broker(config) as broker:
        await broker.queues.create(ADMIN, QueueSpec("q"))
        yield 201


EITHER = pytest.mark.parametrize("run", [served, opened])


@EITHER
async def test_a_program_says_all_in_tables(run, monkeypatch, folder):
    monkeypatch.setenv("BROKER__BROKER__PLUGINS", "nonsense")  # which would be refused
    async with run({"broker": {**KNOWN, "data_dir": "data"}}) as status:
        assert status == 201
    assert (folder / "data").is_dir()


@EITHER
@pytest.mark.parametrize("kind", [str, Path])
async def test_a_program_names_a_file(run, kind, monkeypatch, folder):
    file = folder / "etc" / "tea.toml"
    file.parent.mkdir()
    file.write_text('[broker]\nplugins = ["memory"]\ndata_dir = "data"\n')
    monkeypatch.setenv("BROKER__BROKER__ANONYMOUS", "true")
    async with run(kind(file)) as status:
        assert status == 201
    assert (folder / "etc" / "data").is_dir()


@EITHER
async def test_without_a_config_it_is_that_of_broker_serve(run, folder):
    (folder / "broker.toml").write_text('[broker]\nplugins = ["memory"]\nanonymous = true\n')
    async with run() as status:
        assert status == 201


@EITHER
@pytest.mark.parametrize("config", [{"broker": {"port": 1}}, "broker.toml"])
async def test_what_is_wrong_with_a_config_is_said(run, config, folder):
    (folder / "broker.toml").write_text("[broker]\nport = 1\n")
    with pytest.raises(ConfigError, match="broker.port: "):
        async with run(config):
            raise NotImplementedError


@EITHER
async def test_what_is_odd_is_logged(run, caplog):
    async with run({"broker": {"anonymous": True}}):
        pass
    assert [record.getMessage() for record in caplog.records if record.name == "broker.app"] == [
        "no enabled plugin provides a storage: messages are kept in memory and are gone when the "
        "broker stops"
    ]


async def test_a_broker_without_transports_does_not_ask_who_is_let_in(caplog):
    async with opened({"broker": {"plugins": ["memory"], "disable": ["rest", "openapi"]}}):
        pass
    assert caplog.messages == []


async def test_a_broker_that_lets_nobody_in_says_so(caplog):
    async with served({"broker": {"plugins": ["memory"]}}) as status:
        assert status == 401
    assert caplog.messages[0] == (
        "no enabled plugin authenticates and broker.anonymous is false: every request will be "
        "answered 401"
    )
