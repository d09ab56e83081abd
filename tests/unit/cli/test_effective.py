"""The config as it takes effect."""

import json
import tomllib
from pathlib import Path

import pytest

from broker.config import BrokerConfig, LogConfig, ServerConfig, TracesConfig, make_config
from broker.cli.effective import as_json, as_toml, effective, json_schema
from broker.loading import load

ACME = """
    from datetime import timedelta
    from enum import Enum
    from pathlib import Path
    from pydantic import BaseModel, ConfigDict, Field, Secret, SecretBytes, SecretStr
    from broker import hookimpl

    class Colour(Enum):
        RED = "red"

    class Login(BaseModel):
        user: str = "me"
        password: SecretStr | None = None

    class Config(BaseModel):
        model_config = ConfigDict(extra="allow")
        path: Path = Path("acme.db")
        colour: Colour = Colour.RED
        leeway: timedelta = timedelta(seconds=30)
        logins: list[Login] = []
        by_name: dict[str, Login] = {}
        key: SecretBytes = SecretBytes(b"hunter2")
        pin: Secret[int] = Secret(1234)
        tags: set[str] = set()
        token: str = ""
        renamed: int = Field(default=1, alias="re-named")

    @hookimpl
    def config_schema():
        return Config
"""


@pytest.fixture
def acme(install, monkeypatch):
    install("acme", ACME)
    monkeypatch.setenv("TOKEN", "hunter2")
    config = make_config(
        {
            "broker": {
                "plugins": ["acme"],
                "disable": ["rest", "log", "openapi"],
                "data_dir": "/data",
            },
            "plugins": {
                "acme": {
                    "logins": [{"password": "hunter2"}, {"user": "you"}],
                    "by_name": {"x": {"password": "hunter2"}},
                    "tags": ["a"],
                    "token": {"env": "TOKEN"},
                    "re-named": 2,
                }
            },
        }
    )
    return config, load(config)


EXPECTED = {
    "server": json.loads(ServerConfig().model_dump_json()),
    "broker": {
        **json.loads(BrokerConfig().model_dump_json()),
        "plugins": ["acme"],
        "disable": ["rest", "log", "openapi"],
        "data_dir": "/data",
    },
    "log": json.loads(LogConfig().model_dump_json()),
    "traces": json.loads(TracesConfig().model_dump_json()),
    "plugins": {
        "acme": {
            "path": "acme.db",
            "colour": "red",
            "leeway": "PT30S",
            "logins": [
                {"user": "me", "password": "********"},
                {"user": "you", "password": None},
            ],
            "by_name": {"x": {"user": "me", "password": "********"}},
            "key": "********",
            "pin": "********",
            "tags": ["a"],
            "token": "********",
            "re-named": 2,
        }
    },
}


def test_defaults_are_shown_and_secrets_are_not(acme):
    assert effective(*acme) == EXPECTED


def without_none(value):
    if isinstance(value, dict):
        return {key: without_none(inner) for key, inner in value.items() if inner is not None}
    return [without_none(inner) for inner in value] if isinstance(value, list) else value


def test_toml_and_json_say_the_same_but_for_what_is_absent(acme):
    tables = effective(*acme)

    assert json.loads(as_json(tables)) == EXPECTED
    assert tomllib.loads(as_toml(tables)) == without_none(EXPECTED)


def test_the_effective_config_without_secrets_is_a_config(acme):
    config, _ = acme
    tables = effective(make_config({"broker": config.broker.model_dump()}), [])

    assert make_config(tomllib.loads(as_toml(tables))).broker == config.broker


def test_a_path_that_is_no_text_can_be_printed():
    assert as_toml({"a": {"path": str(Path("\udcff"))}}) == '[a]\npath = "\\udcff"\n'


def test_the_schema_covers_the_tables_of_the_plugins(acme):
    schema = json_schema(acme[1])

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert list(schema["properties"]) == ["server", "broker", "log", "traces", "plugins"]
    definitions = schema["$defs"]
    [reference] = schema["properties"]["plugins"]["properties"].values()
    table = definitions[reference["$ref"].rpartition("/")[2]]
    assert sorted(table["properties"]) == sorted(EXPECTED["plugins"]["acme"])
    assert definitions["ServerConfig"]["properties"]["port"] == {
        "type": "integer",
        "title": "Port",
        "default": 8777,
        "minimum": 0,
        "maximum": 65535,
        "description": "The port; 0 takes a free one.",
    }


def test_the_schema_allows_no_unknown_key_at_any_level(acme):
    schema = json_schema(acme[1])

    tables = [schema, *(d for d in schema["$defs"].values() if d["type"] == "object")]
    assert [table["additionalProperties"] for table in tables] == [False] * 8


def test_the_schema_says_no_default_of_a_secret(acme):
    assert "hunter2" not in json.dumps(json_schema(acme[1]))
    assert "1234" not in json.dumps(json_schema(acme[1]))
