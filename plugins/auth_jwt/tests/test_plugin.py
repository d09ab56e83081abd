"""The plugin: its entry point, its options, and what its README says of them."""

import importlib
import json
import pkgutil
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from secrets import token_hex

import pytest
from foreign_issuer import ForeignIssuer, Signer
from pydantic import ValidationError

import broker_auth_jwt
from broker import BrokerError, ConfigError
from broker.config import make_config
from broker.loading import load_one
from broker.testing import BrokerFactory, Client, assert_config_used
from broker_auth_jwt.config import AuthConfig
from broker_auth_jwt.scopes import SHIPPED_ROLES

README = (Path(__file__).parent.parent / "README.md").read_text()


def table(heading: str) -> list[list[str]]:
    """The rows of the table that begins with a heading."""
    text = README.partition(f"\n{heading}\n")[2]
    rows = re.match(r"(?:^\|.*\|\n)+", text, re.MULTILINE).group().splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_the_entry_point_leads_to_the_plugin() -> None:
    [found] = entry_points(group="broker.plugins", name="auth_jwt")
    assert found.load() is broker_auth_jwt


def test_every_error_has_a_code_of_its_own() -> None:
    names = [module.name for module in pkgutil.iter_modules(broker_auth_jwt.__path__)]
    modules = [importlib.import_module(f"broker_auth_jwt.{name}") for name in names]
    errors = {
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type)
        and issubclass(kind, BrokerError)
        and kind.__module__.startswith("broker_auth_jwt.")
    }

    assert {kind.__name__: kind.code for kind in errors} == {
        "LastAdmin": "last-admin",
        "NotGranted": "not-granted",
        "StillLimited": "rate-limited",  # to clients it is a RateLimited
        "TokenNotFound": "token-not-found",
        "UserExists": "user-exists",
        "UserNotFound": "user-not-found",
    }


def test_the_readme_lists_every_option_with_its_default() -> None:
    documented = {row[0].strip("`"): row[1:] for row in table("| key | default | |")}

    assert documented == {
        name: [shown(field.get_default(call_default_factory=True)), field.description]
        for name, field in AuthConfig.model_fields.items()
    }


def shown(value: object) -> str:
    return "none" if value is None else f"`{json.dumps(value)}`"


def test_the_readme_lists_the_shipped_roles() -> None:
    documented = {row[0].strip("`"): row[1].strip("`") for row in table("| role | scopes |")}
    assert documented == {name: ", ".join(scopes) for name, scopes in SHIPPED_ROLES.items()}


@pytest.mark.parametrize(
    "options",
    [
        {"databse": "x"},
        {"database": ""},
        {"database": "postgresql://h/d"},
        {"algorithm": "none"},
        {"access_seconds": 0},
        {"roles": {"Shop": ["publish:*"]}},
        {"roles": {"admin": ["read:*"]}},
        {"roles": {"shop": ["publish"]}},
        {"roles": {"shop": ["publish:"]}},
        {"roles": {"shop": ["delete:*"]}},
        {"roles": {"shop": ["producer"]}},
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AuthConfig.model_validate(options)


def configured(**options: object) -> AuthConfig:
    config = make_config({"broker": {"plugins": ["auth_jwt"]}, "plugins": {"auth_jwt": options}})
    return load_one("auth_jwt", config).config


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"database": "auth.db", "database_url": "postgresql://ann:s3cret-pw@h/users"},
            "database_url is used instead of database; leave one of them out; got"
            ' {"database": "auth.db", "database_url": "********"}',
        ),
        (
            {"keys": "auth-keys.json", "secret": "s3cret-e9a1c4f07b2d8563-pw-of-nobody"},
            "secret is used instead of keys; leave one of them out; got"
            ' {"keys": "auth-keys.json", "secret": "********"}',
        ),
    ],
)
def test_an_option_that_would_be_passed_over_is_refused(
    options: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        configured(**options)
    assert str(refused.value) == f"config: plugins.auth_jwt: {told}"
    assert refused.value.exit_code == 78
    for name, value in options.items():
        configured(**{name: value})


def test_commands_are_known_before_what_takes_long_to_import() -> None:
    code = 'import sys, broker_auth_jwt; print({"httpx", "jwt", "sqlalchemy"} & set(sys.modules))'
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


async def test_every_option_is_used(broker_factory: BrokerFactory) -> None:
    signer = Signer("one")

    async def come_from_elsewhere(client: Client) -> None:
        now = client.clock.now() // 1000
        claims = {"iss": "https://id", "aud": "broker", "sub": "eve", "scope": "reader"}
        token = signer.sign({**claims, "iat": now, "exp": now + 60}, typ="at+jwt")
        assert (await client.get("/queues", token=token)).status == 200

    async with ForeignIssuer(signer.jwk()) as foreign:
        issuer = {"name": "id", "issuer": "https://id", "audience": "broker"}
        grants = {"reader": ["read:*"]}
        table = {
            "secret": token_hex(32),
            "previous_secrets": [token_hex(32)],
            "issuers": [{**issuer, "jwks_url": foreign.url, "grants": grants}],
        }
        await assert_config_used(broker_factory, "auth_jwt", table, exercise=come_from_elsewhere)
