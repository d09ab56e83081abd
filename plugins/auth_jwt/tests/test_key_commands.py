"""`broker key`: what is printed, and with which code it ends."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from broker import Clock
from broker.cli import cli
from broker_auth_jwt.accounts import make_accounts
from broker_auth_jwt.config import AuthConfig
from broker_auth_jwt.key_commands import key
from broker_auth_jwt.keyfile import KeyFile
from broker_auth_jwt.keys import KeyRing
from broker_auth_jwt.tokens import Tokens

Run = Callable[..., Result]

SECRETS = (
    'secret = "u2Jw0dTzq9Rk4mXv7CbN1sLhPf6EoY8g"\n'
    'previous_secrets = ["Zr5tNqK8vLw3XyB6mHcJ2dGf9sPaU4eQ"]\n'
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `broker key` with these lines in the plugin's table."""
    config = tmp_path / "broker.toml"
    config.touch(0o600)

    def run(*args: str, lines: str = "") -> Result:
        config.write_text(f'[broker]\nplugins = ["auth_jwt"]\n[plugins.auth_jwt]\n{lines}')
        words = ["key", *args, "--config", str(config)]
        return CliRunner().invoke(cli, words, prog_name="broker")

    return run


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    """The keys of a broker that runs."""
    ring = KeyRing(AuthConfig(), tmp_path, clock=Clock())
    asyncio.run(ring.open())
    return ring


def changes(folder: Path) -> int:
    async def ask() -> int:
        accounts = make_accounts(AuthConfig(), folder)
        await accounts.open()
        try:
            return await accounts.changes.current()
        finally:
            await accounts.close()

    return asyncio.run(ask())


def test_before_the_first_start_there_are_no_keys_and_none_are_made(
    run: Run, tmp_path: Path
) -> None:
    done = run("list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "there are no keys yet: the broker makes one when it starts\n"
    assert run("list", "--json").stdout == "[]\n"
    assert [path.name for path in tmp_path.iterdir()] == ["broker.toml"]


def test_a_rotation_is_followed_by_a_broker_that_runs(
    run: Run, ring: KeyRing, tmp_path: Path
) -> None:
    tokens = Tokens(AuthConfig(), ring, Clock())
    old = tokens.issue_access("alice", session="s", version=1)
    before, count = ring.signing, changes(tmp_path)
    done = run("rotate")
    assert (done.exit_code, done.stderr) == (0, "")
    assert changes(tmp_path) == count + 1

    asyncio.run(ring.refresh())
    assert tokens.verify_access(old).subject == "alice"
    new_line, old_line = (line.split("\t") for line in done.stdout.splitlines())
    assert new_line[:3] == [ring.signing.kid, "HS256", "signs"]
    assert old_line[:3] == [before.kid, "HS256", "verifies"]
    assert run("list").stdout == done.stdout


def test_a_rotation_is_in_the_audit(run: Run, ring: KeyRing, tmp_path: Path) -> None:
    run("rotate")
    asyncio.run(ring.refresh())
    [line] = map(json.loads, (tmp_path / "audit.jsonl").read_text().splitlines())
    assert (line["action"], line["key_id"]) == ("key.rotated", ring.signing.kid)


def test_keys_are_told_in_json(run: Run, ring: KeyRing, tmp_path: Path) -> None:
    old = ring.signing.kid
    rotated = json.loads(run("rotate", "--json").stdout)
    assert json.loads(run("list", "--json").stdout) == rotated
    new, kept = rotated
    made, until = (datetime.fromisoformat(kept[name]) for name in ("created_at", "verifies_until"))
    now = datetime.fromisoformat(new["created_at"])
    assert timedelta(days=30, seconds=30) <= until - now <= timedelta(days=30, seconds=32)
    assert made <= now
    assert new == {
        "kid": KeyFile(tmp_path / "auth-keys.json").read()[0].kid,
        "algorithm": "HS256",
        "signs": True,
        "created_at": new["created_at"],
        "verifies_until": None,
    }
    assert (kept["kid"], kept["algorithm"], kept["signs"]) == (old, "HS256", False)


def test_a_rotation_takes_the_algorithm_of_the_config(run: Run, ring: KeyRing) -> None:
    done = run("rotate", lines='algorithm = "EdDSA"\n')
    assert [line.split("\t")[1] for line in done.stdout.splitlines()] == ["EdDSA", "HS256"]


def test_a_rotation_before_the_first_start_makes_the_first_key(run: Run, tmp_path: Path) -> None:
    [line] = run("rotate").stdout.splitlines()
    assert line.split("\t")[0] == KeyFile(tmp_path / "auth-keys.json").read()[0].kid


def test_a_key_that_is_over_is_not_listed(run: Run, ring: KeyRing, tmp_path: Path) -> None:
    run("rotate")
    file = KeyFile(tmp_path / "auth-keys.json")
    file.change(lambda keys: (keys[0], msgspec.structs.replace(keys[1], exp=keys[1].iat)))
    assert len(run("list").stdout.splitlines()) == 1


def test_secrets_of_the_config_are_listed_by_their_ids_and_rotated_there(
    run: Run, tmp_path: Path
) -> None:
    done = run("list", lines=SECRETS)
    assert done.exit_code == 0
    assert [line.split("\t")[1:] for line in done.stdout.splitlines()] == [
        ["HS256", "signs", "", ""],
        ["HS256", "verifies", "", ""],
    ]
    assert [view["signs"] for view in json.loads(run("list", "--json", lines=SECRETS).stdout)] == [
        True,
        False,
    ]
    done = run("rotate", lines=SECRETS)
    assert (done.exit_code, done.stdout) == (78, "")
    assert done.stderr == (
        "broker: plugins.auth_jwt.secret is in the config, and is rotated there: move it to"
        " previous_secrets, set another one (openssl rand -hex 64), and start the broker again\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["broker.toml"]


@pytest.mark.parametrize("command", ["list", "rotate"])
@pytest.mark.parametrize("damage", [b"", b"{", b'{"keys": []}'])
def test_a_damaged_file_is_exit_code_78_and_stays(
    run: Run, ring: KeyRing, tmp_path: Path, command: str, damage: bytes
) -> None:
    path = tmp_path / "auth-keys.json"
    path.write_bytes(damage)
    done = run(command)
    assert (done.exit_code, done.stdout) == (78, "")
    assert done.stderr.startswith(f"broker: {path} is damaged, or no key file of this plugin: ")
    assert path.read_bytes() == damage


@pytest.mark.parametrize("command", ["list", "rotate"])
def test_a_file_that_others_may_read_is_exit_code_78_with_the_remedy(
    run: Run, ring: KeyRing, tmp_path: Path, command: str
) -> None:
    path = tmp_path / "auth-keys.json"
    path.chmod(0o644)
    done = run(command)
    assert (done.exit_code, done.stdout) == (78, "")
    assert done.stderr == (
        f"broker: {path} holds signing keys, but others may read or change it (mode 0644):"
        f" chmod 600 {path}\n"
    )


def test_nothing_secret_is_printed(run: Run, ring: KeyRing, tmp_path: Path) -> None:
    secrets = [json.loads((tmp_path / "auth-keys.json").read_bytes())["keys"][0]["k"]]
    told = "".join(run(*words).output for words in (["rotate"], ["list"], ["list", "--json"]))
    secrets += [
        stored["k"] for stored in json.loads((tmp_path / "auth-keys.json").read_bytes())["keys"]
    ]
    told += (tmp_path / "audit.jsonl").read_text()
    for secret in secrets:
        assert secret[:10] not in told


@pytest.mark.parametrize("name", key.commands)
def test_every_command_explains_itself_with_an_example_and_answers_in_json(name: str) -> None:
    command = key.commands[name]
    assert isinstance(command, click.Command)
    assert f"Example: broker key {name}" in (command.help or "")
    assert "--json" in [option for parameter in command.params for option in parameter.opts]
