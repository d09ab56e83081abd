"""Accounts: from the words of the config to a database."""

from pathlib import Path

import pytest

from broker import ConfigError, StorageUnreadable
from broker.config import make_config
from broker.loading import load_one
from broker_auth_jwt.accounts import make_accounts
from broker_auth_jwt.config import AuthConfig


@pytest.mark.parametrize("is_relative", [True, False])
async def test_a_relative_path_starts_at_the_data_directory(
    tmp_path: Path, is_relative: bool
) -> None:
    name = "users/a b?.db"
    config = AuthConfig(database=name if is_relative else str(tmp_path / "data" / name))
    accounts = make_accounts(config, tmp_path / ("data" if is_relative else "other"))
    await accounts.open()
    await accounts.close()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "data" / name]


async def test_a_url_is_used_instead_of_a_file(tmp_path: Path) -> None:
    url = f"postgresql://ann@/users?host={tmp_path}"
    accounts = make_accounts(AuthConfig(database_url=url), tmp_path)
    with pytest.raises(StorageUnreadable, match="PostgreSQL database users cannot be used"):
        await accounts.open()
    assert list(tmp_path.iterdir()) == []


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
