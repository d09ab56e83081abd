"""The keys of a broker: made, rotated, shared, and shown to others."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from click.testing import CliRunner

from broker import ConfigError, InvalidToken
from broker.cli import cli
from broker_auth_jwt.keyfile import KeyFile
from broker_auth_jwt.keys import KeyRing, rotated
from broker_auth_jwt.tokens import Tokens

MakeForge = Callable[..., Any]

ALGORITHMS = ["HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA"]

OLD, NEW = "u2Jw0dTzq9Rk4mXv7CbN1sLhPf6EoY8g", "Zr5tNqK8vLw3XyB6mHcJ2dGf9sPaU4eQ"

MONTH = 2_592_000


def rotate(forge: Any) -> None:
    """Do what `broker key rotate` does, in another process."""
    file = KeyFile(forge.folder / forge.config.keys)
    file.change(lambda keys: rotated(keys, forge.config, now=forge.clock.now()))


def issue(forge: Any) -> str:
    text: str = forge.tokens.issue_access("alice", session="s", version=1)
    return text


def test_the_first_start_makes_a_private_file_and_the_next_ones_use_it(tmp_path: Path) -> None:
    script = """
import asyncio, sys
from pathlib import Path
from broker import Clock
from broker_auth_jwt.config import AuthConfig
from broker_auth_jwt.keys import KeyRing
ring = KeyRing(AuthConfig(), Path(sys.argv[1]), clock=Clock())
asyncio.run(ring.open())
print(ring.signing.kid)
"""
    words = [sys.executable, "-c", script, str(tmp_path)]
    told = [subprocess.check_output(words, text=True).strip() for _ in range(2)]
    path = tmp_path / "auth-keys.json"
    [key] = KeyFile(path).read()
    assert told == [key.kid, key.kid]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_starts_at_once_agree_on_one_key(make_forge: MakeForge, tmp_path: Path) -> None:
    forge = await asyncio.to_thread(make_forge)
    (tmp_path / "auth-keys.json").unlink()
    rings = [KeyRing(forge.config, tmp_path, clock=forge.clock) for _ in range(8)]
    await asyncio.gather(*(ring.open() for ring in rings))
    assert len({ring.signing.kid for ring in rings}) == 1


def test_another_algorithm_in_the_config_is_a_new_key_at_the_start(make_forge: MakeForge) -> None:
    forge = make_forge()
    old = issue(forge)
    changed = make_forge(algorithm="ES256")
    assert changed.ring.signing.algorithm == "ES256"
    assert changed.tokens.verify_access(old).subject == "alice"
    assert [key.alg for key in KeyFile(forge.folder / "auth-keys.json").read()] == [
        "ES256",
        "HS256",
    ]
    kid = changed.ring.signing.kid
    assert make_forge(algorithm="ES256").ring.signing.kid == kid


@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA"])
def test_j7_after_a_rotation_the_new_key_signs_and_the_old_verifies_until_its_tokens_are_over(
    make_forge: MakeForge, algorithm: str
) -> None:
    forge = make_forge(algorithm=algorithm)
    old, header = forge.ring.signing, forge.header()
    refresh = forge.tokens.issue_refresh("alice", session="s", version=1).text
    rotate(forge)
    asyncio.run(forge.ring.refresh())

    assert forge.ring.signing.kid != old.kid
    assert jwt.get_unverified_header(issue(forge))["kid"] == forge.ring.signing.kid
    forge.clock.advance(60)
    newer = forge.tokens.issue_refresh("alice", session="s", version=1).text

    forge.clock.advance(MONTH - 60 + 29)
    assert forge.tokens.verify_refresh(refresh).subject == "alice"
    with_old_key = forge.sign_with(algorithm, old.private, header, forge.claims())
    assert forge.tokens.verify_access(with_old_key).subject == "alice"
    forge.clock.advance(1)
    assert forge.ring.find(old.kid) is None
    for verify, text in (
        (forge.tokens.verify_refresh, refresh),
        (forge.tokens.verify_access, with_old_key),
    ):
        with pytest.raises(InvalidToken):
            verify(text)
    assert forge.tokens.verify_refresh(newer).subject == "alice"


def test_j7_a_key_that_is_over_leaves_the_file_with_the_next_rotation(
    make_forge: MakeForge,
) -> None:
    forge = make_forge()
    first = forge.ring.signing.kid
    kids = []
    for _ in range(3):
        rotate(forge)
        kids.append(forge.stored().kid)
    in_file = KeyFile(forge.folder / "auth-keys.json").read
    assert [key.kid for key in in_file()] == [*reversed(kids), first]
    forge.clock.advance(MONTH + 30)
    rotate(forge)
    assert [key.kid for key in in_file()] == [forge.stored().kid, kids[-1]]


def test_a_second_rotation_does_not_prolong_the_first(make_forge: MakeForge) -> None:
    forge = make_forge()
    for _ in range(2):
        rotate(forge)
        forge.clock.advance(60)
    ends = [key.verifies_until for key in KeyFile(forge.folder / "auth-keys.json").read()]
    start = forge.clock.now() - 120_000
    end = start + (MONTH + 30) * 1000
    assert ends == [None, end + 60_000, end]


def test_j7_a_key_that_was_removed_verifies_no_more(make_forge: MakeForge) -> None:
    forge = make_forge()
    old = issue(forge)
    rotate(forge)
    KeyFile(forge.folder / "auth-keys.json").change(lambda keys: keys[:1])
    asyncio.run(forge.ring.refresh())
    with pytest.raises(InvalidToken):
        forge.tokens.verify_access(old)


async def test_a_file_that_did_not_change_is_not_read_again(
    make_forge: MakeForge, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge = await asyncio.to_thread(make_forge)
    monkeypatch.setattr(KeyFile, "read", lambda _: pytest.fail("it was read"))
    await forge.ring.refresh()


@pytest.mark.parametrize("damage", ["write", "remove", "open", "key"])
async def test_a_file_that_gets_unusable_changes_nothing_and_is_told_once(
    make_forge: MakeForge, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    forge = await asyncio.to_thread(make_forge)
    token, path = issue(forge), forge.folder / "auth-keys.json"
    good = path.read_bytes()
    if damage == "write":
        path.write_bytes(b"{")
    elif damage == "remove":
        path.unlink()
    elif damage == "open":
        path.write_bytes(good + b" ")
        path.chmod(0o644)
    else:
        path.write_text(json.dumps({"keys": [json.loads(good)["keys"][0] | {"k": "AQ"}]}))
    for _ in range(3):
        await forge.ring.refresh()
        assert forge.tokens.verify_access(token).subject == "alice"
    [record] = caplog.records
    assert record.name == "broker.plugins.auth_jwt"
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"the keys stay what they were: {path} ")


@pytest.mark.parametrize("damage", [b"", b"{", b'{"keys": [{}]}'])
def test_a_damaged_file_stops_the_start_and_stays(
    make_forge: MakeForge, tmp_path: Path, damage: bytes
) -> None:
    path = tmp_path / "auth-keys.json"
    path.touch(0o600)
    path.write_bytes(damage)
    with pytest.raises(ConfigError, match="is damaged, or no key file of this plugin"):
        make_forge()
    assert path.read_bytes() == damage


def test_a_key_that_cannot_sign_stops_the_start(make_forge: MakeForge, tmp_path: Path) -> None:
    make_forge()
    path = tmp_path / "auth-keys.json"
    [key] = json.loads(path.read_bytes())["keys"]
    path.write_text(json.dumps({"keys": [key | {"k": key["k"][:20]}]}))
    with pytest.raises(ConfigError, match=r"is damaged.* too short") as refused:
        make_forge()
    assert key["k"][:20] not in str(refused.value)


@pytest.mark.parametrize("problem", ["holds signing keys, but others may read", "is damaged"])
def test_a_broker_that_cannot_use_its_key_file_ends_with_78(
    make_forge: MakeForge, tmp_path: Path, problem: str
) -> None:
    make_forge()
    path = tmp_path / "auth-keys.json"
    if problem == "is damaged":
        path.write_bytes(b"")
    else:
        path.chmod(0o644)
    config = tmp_path / "broker.toml"
    config.write_text('[server]\nport = 0\n[broker]\nplugins = ["auth_jwt"]\n')
    done = CliRunner().invoke(cli, ["serve", "--config", str(config)], prog_name="broker")
    assert done.exit_code == 78
    assert f"broker: {path} {problem}" in done.stderr


def test_a_key_file_that_may_not_be_written_serves_all_the_same(
    make_forge: MakeForge, monkeypatch: pytest.MonkeyPatch
) -> None:
    kid = make_forge().ring.signing.kid
    monkeypatch.setattr(KeyFile, "change", lambda *_: pytest.fail("it was written"))
    assert make_forge().ring.signing.kid == kid


def test_a_secret_signs_without_a_file_and_is_the_same_for_every_broker(
    make_forge: MakeForge, tmp_path: Path
) -> None:
    one, other = make_forge(secret=OLD), make_forge(secret=OLD)
    assert one.ring.signing.kid == other.ring.signing.kid
    assert other.tokens.verify_access(issue(one)).subject == "alice"
    assert one.ring.public() == {"keys": []}
    asyncio.run(one.ring.refresh())
    assert list(tmp_path.iterdir()) == []


def test_the_id_of_a_secret_tells_nothing_of_it(make_forge: MakeForge) -> None:
    long = OLD + NEW
    rings = [make_forge(secret=long, algorithm=name).ring for name in ("HS256", "HS384", "HS512")]
    kids = {ring.signing.kid for ring in rings}
    assert len(kids) == 3
    assert all(len(kid) == 22 for kid in kids)
    assert not any(kid[:8] in long or long[:8] in kid for kid in kids)


def test_j7_a_previous_secret_verifies_while_it_is_in_the_config(make_forge: MakeForge) -> None:
    before = make_forge(secret=OLD)
    old = issue(before)
    between = make_forge(secret=NEW, previous_secrets=[OLD])
    assert between.tokens.verify_access(old).subject == "alice"
    assert between.ring.signing.kid != before.ring.signing.kid
    after = make_forge(secret=NEW)
    assert after.tokens.verify_access(issue(between)).subject == "alice"
    with pytest.raises(InvalidToken):
        after.tokens.verify_access(old)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_others_verify_with_what_is_public(make_forge: MakeForge, algorithm: str) -> None:
    forge = make_forge(algorithm=algorithm)
    old = issue(forge)
    rotate(forge)
    asyncio.run(forge.ring.refresh())
    public = forge.ring.public()
    kids = [jwt.get_unverified_header(text)["kid"] for text in (issue(forge), old)]
    assert [key["kid"] for key in public["keys"]] == kids
    known = jwt.PyJWKSet.from_dict(public)
    for text in (issue(forge), old):
        key = known[jwt.get_unverified_header(text)["kid"]]
        options = {"verify_exp": False}
        claims = jwt.decode(text, key, [algorithm], options, audience="replika-broker")
        assert claims["sub"] == "alice"
    for key in public["keys"]:
        assert (key["alg"], key["use"]) == (algorithm, "sig")
        assert (
            not {"k", "d", "p", "q", "dp", "dq", "qi", "oth", "r", "t", "iat", "exp"} & key.keys()
        )
    forge.clock.advance(MONTH + 30)
    assert [key["kid"] for key in forge.ring.public()["keys"]] == [forge.ring.signing.kid]


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_nothing_of_hmac_is_public(make_forge: MakeForge, algorithm: str) -> None:
    assert make_forge(algorithm=algorithm).ring.public() == {"keys": []}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_secret_is_in_a_repr_an_error_or_a_log(
    make_forge: MakeForge, caplog: pytest.LogCaptureFixture, algorithm: str
) -> None:
    caplog.set_level(logging.DEBUG)
    forge = make_forge(algorithm=algorithm)
    path = forge.folder / "auth-keys.json"
    [key] = json.loads(path.read_bytes())["keys"]
    secrets = {key[name] for name in ("k", "d", "p", "q", "dp", "dq", "qi") if name in key}
    told = [repr(thing) for thing in (forge.ring, forge.tokens, forge.ring.signing, forge.stored())]
    told += [repr(forge.ring.__dict__), repr(forge.tokens.__dict__), repr(forge.config)]
    token = issue(forge)
    for name in key:
        for value in (5, "AQ", key[name] * 2 if isinstance(key[name], str) else -1):
            path.write_text(json.dumps({"keys": [key | {name: value}]}))
            try:
                make_forge(algorithm=algorithm)
            except ConfigError as error:
                told.append(f"{error!r} {error.__cause__!r} {error.__context__!r}")
            asyncio.run(forge.ring.refresh())
    with pytest.raises(InvalidToken) as refused:
        Tokens(forge.config, forge.ring, forge.clock).verify_refresh(token)
    told += [repr(refused.value), caplog.text]
    assert forge.ring.signing.kid in "".join(told)
    for secret in secrets:
        assert secret[:10] not in "".join(told)


def test_a_configured_secret_is_in_no_repr(make_forge: MakeForge) -> None:
    forge = make_forge(secret=NEW, previous_secrets=[OLD])
    told = f"{forge.config!r} {forge.ring.__dict__!r} {forge.ring.signing!r}"
    assert OLD not in told
    assert NEW not in told
