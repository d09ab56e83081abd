"""Secrets in the tables of plugins: how long, and where they stand."""

import pytest

ACME = """
    import broker
    from pydantic import BaseModel, Field, SecretBytes, SecretStr

    class Inner(BaseModel):
        signing_key: SecretStr | None = None

    class Config(BaseModel):
        secret: SecretStr | None = None
        previous_secrets: tuple[SecretStr, ...] = ()
        by_name: dict[str, Inner] = {}
        hmac_key: SecretBytes | None = None
        token_secret: SecretStr | None = Field(None, min_length=4)
        password: SecretStr | None = None
        url: SecretStr | None = Field(None, alias="where")
        default_secret: SecretStr = SecretStr("x" * 32)

    @broker.hookimpl
    def config_schema():
        return Config
"""


@pytest.fixture
def found(install, configure, doctor):
    install("acme", ACME)

    def found(table):
        configure("memory", "acme", tables=f"[plugins.acme]\n{table}")
        return [(f.check, f.subject) for f in doctor()]

    return found


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ('secret = { env = "S" }', "secret"),
        ('previous_secrets = [{ env = "L" }, { env = "S" }]', "previous_secrets[1]"),
        ('by_name.a.signing_key = { env = "S" }', "by_name.a.signing_key"),
        ('hmac_key = { env = "S" }', "hmac_key"),
    ],
)
def test_a_short_secret_that_signs_is_named(found, monkeypatch, table, place):
    monkeypatch.setenv("S", "ä" * 15)
    monkeypatch.setenv("L", "ä" * 16)

    assert found(table) == [("short-secret", f"plugins.acme.{place}")]


@pytest.mark.parametrize(
    "table",
    [
        'secret = { env = "L" }',
        # The schema says itself how long it has to be.
        'token_secret = { env = "S" }',
        # These do not sign.
        'password = { env = "S" }',
        'where = { env = "S" }',
    ],
)
def test_other_secrets_may_be_as_they_are(found, monkeypatch, table):
    monkeypatch.setenv("S", "short")
    monkeypatch.setenv("L", "x" * 32)

    assert found(table) == []


@pytest.mark.parametrize("key", ["password", "where"])
def test_a_secret_in_the_config_file_is_named(found, key):
    assert found(f'{key} = "hunter2"') == [("literal-secret", f"plugins.acme.{key}")]


def test_neither_its_text_nor_its_length_in_the_file_is_told(found, doctor):
    found('secret = "hunter2"')

    told = doctor()

    assert [f.check for f in told] == ["short-secret", "literal-secret"]
    assert "hunter2" not in str(told)


def test_a_variable_for_the_key_is_no_secret_in_the_file(found, monkeypatch):
    monkeypatch.setenv("BROKER__PLUGINS__ACME__PASSWORD", "hunter2")

    assert found('password = "replaced"') == []


def test_a_schema_that_refuses_short_ones_is_heard(found, monkeypatch):
    monkeypatch.setenv("S", "abc")

    assert found('token_secret = { env = "S" }') == [
        ("plugin-config", "acme"),
    ]
