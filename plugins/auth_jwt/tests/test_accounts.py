"""Accounts: from the words of the config to a database."""

from pathlib import Path

import pytest

from broker import ConfigError
from broker_auth_jwt.accounts import database_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("auth.db", "sqlite:////data/auth.db"),
        ("users/auth.db", "sqlite:////data/users/auth.db"),
        ("/var/auth.db", "sqlite:////var/auth.db"),  # an absolute path is one
        ("a b?.db", "sqlite:////data/a%20b%3F.db"),
        ("postgresql://u:p@h:5432/d", "postgresql://u:p@h:5432/d"),
        ("postgres://h/d?sslmode=verify-full", "postgres://h/d?sslmode=verify-full"),
        ("postgresql:///d?host=/run/pg", "postgresql:///d?host=/run/pg"),
    ],
)
def test_a_file_lies_in_the_data_directory_and_a_url_stays(text: str, url: str) -> None:
    assert database_url(text, Path("/data")) == url


@pytest.mark.parametrize(
    "text",
    [
        "mysql://u:s3cret@h/d",
        "sqlite:///s3cret.db",
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
def test_any_other_url_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        database_url(text, Path("/data"))
    assert str(refused.value) == (
        "plugins.auth_jwt.database: expected the name of a file, or"
        " postgresql://user:password@host:port/database"
    )
    assert refused.value.exit_code == 78
    assert "s3cret" not in repr(refused.value.__cause__)


async def test_a_ping_is_answered_by_the_database(open_accounts) -> None:
    async with open_accounts() as accounts:
        await accounts.ping()
