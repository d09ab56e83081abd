"""Accounts: from the words of the config to a database."""

from pathlib import Path

import pytest

from broker import ConfigError
from broker.config import make_config
from broker.plugins import load_one
from broker_auth_jwt.accounts import file_url


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/data/users/auth.db", "sqlite:////data/users/auth.db"),
        ("auth.db", "sqlite:///auth.db"),
        ("/data/a b?.db", "sqlite:////data/a%20b%3F.db"),
    ],
)
def test_a_file_is_a_url_for_the_driver(path: str, url: str) -> None:
    assert file_url(Path(path)) == url


def configured(url: str) -> str | None:
    table = {"auth_jwt": {"database_url": url}}
    config = make_config({"broker": {"plugins": ["auth_jwt"]}, "plugins": table})
    return load_one("auth_jwt", config).config.database_url.get_secret_value()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h:5432/d",
        "postgres://h/d?sslmode=verify-full",
        "postgresql:///d?host=/run/pg",
    ],
)
def test_a_url_of_postgresql_is_taken_as_it_is(url: str) -> None:
    assert configured(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:s3cret@h/d",
        "sqlite:///s3cret.db",
        "s3cret.db",
        "http://u:s3cret@h/d",
        "postgresql+aiopg://u:s3cret@h/d",
        "postgresql://u:s3cret@h",  # no database
        "postgresql://u:s3cret@h/",
        "postgresql://u:a/s3cret@h/d",  # a slash in a password must be written %2F
        "postgresql://u:p@h:s3cret/d",
        "postgresql://u:s3cret@[h/d",
        "://s3cret",
    ],
)
def test_any_other_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        configured(url)
    assert str(refused.value) == (
        "config: plugins.auth_jwt.database_url: expected"
        " postgresql://user:password@host:port/database; got ********"
    )
    assert refused.value.exit_code == 78
    assert "s3cret" not in repr(refused.value.__cause__)


async def test_a_ping_is_answered_by_the_database(open_accounts) -> None:
    async with open_accounts() as accounts:
        await accounts.ping()
