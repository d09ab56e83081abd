"""The key file: whole or not at all, one for all, and nobody else's business."""

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker import ConfigError
from broker_auth_jwt.keyfile import KeyFile, Keys
from broker_auth_jwt.stored_key import StoredKey, generate

NOW = 1_700_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "auth-keys.json"


@pytest.fixture
def filled(path: Path) -> KeyFile:
    file = KeyFile(path)
    file.change(lambda _: (generate("HS256", now=NOW),))
    return file


def with_new(keys: Keys) -> Keys:
    return generate("HS384", now=NOW), *(key.ending(NOW // 1000 + 60) for key in keys)


def test_no_file_is_no_keys(path: Path) -> None:
    assert KeyFile(path).read() == ()
    assert KeyFile(path).version() is None


def test_what_is_written_is_read(filled: KeyFile, path: Path) -> None:
    before, version = filled.read(), filled.version()
    after = filled.change(with_new)
    assert KeyFile(path).read() == after
    assert [key.verifies_until for key in after] == [None, NOW + 60_000]
    assert after[1].kid == before[0].kid
    assert filled.version() != version


def test_it_is_a_jwk_set_for_its_owner_alone(filled: KeyFile, path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    [key] = json.loads(path.read_bytes())["keys"]
    assert key.keys() == {"kty", "kid", "alg", "use", "iat", "k"}
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "keys.json"
    KeyFile(path).change(with_new)
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_what_does_not_change_is_not_written(filled: KeyFile, path: Path) -> None:
    version = filled.version()
    assert filled.change(lambda keys: keys) == filled.read()
    assert filled.version() == version
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o601, 0o620, 0o660, 0o666, 0o777])
def test_a_file_that_others_may_read_or_change_is_refused(
    filled: KeyFile, path: Path, mode: int
) -> None:
    path.chmod(mode)
    with pytest.raises(ConfigError) as refused:
        filled.read()
    assert str(refused.value) == (
        f"{path} holds signing keys, but others may read or change it (mode {mode:04o}):"
        f" chmod 600 {path}"
    )
    with pytest.raises(ConfigError, match="chmod 600"):
        filled.change(with_new)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_a_group_may_be_let_read_it_and_stays_so(filled: KeyFile, path: Path, mode: int) -> None:
    path.chmod(mode)
    owner = path.stat()
    after = filled.change(with_new)
    assert filled.read() == after
    found = path.stat()
    assert (found.st_mode & 0o777, found.st_uid, found.st_gid) == (
        mode,
        owner.st_uid,
        owner.st_gid,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_root_leaves_the_file_to_the_user_of_the_broker(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, 2345)
    file = KeyFile(tmp_path / "keys.json")
    for _ in range(2):
        file.change(with_new)
        found = file.path.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1234, 2345, 0o600)
        os.chown(tmp_path, 0, 0)


def jwk_set(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


GOOD: dict[str, Any] = {"kty": "oct", "kid": "a", "alg": "HS256", "iat": 1, "k": "k" * 43}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "it is empty"),
        (b"\0" * 512, "malformed"),
        (b"{", "truncated"),
        (b"not json", "malformed"),
        (b"\xff\xfe{}", "malformed"),
        (b"[]", "Expected `object`"),
        (b"null", "Expected `object`"),
        (b"{}", "missing required field `keys`"),
        (b'{"keys": {}}', "Expected `array`"),
        (b"[" * 100_000, ""),
        (b'{"keys": [' + b"[" * 100_000, ""),
        (b'{"x": ' + b"[" * 100_000, ""),
        (jwk_set(), "the first key, and no other, must be without exp"),
        (jwk_set(GOOD | {"exp": 5}), "the first key, and no other, must be without exp"),
        (jwk_set(GOOD, GOOD | {"kid": "b"}), "the first key, and no other, must be without exp"),
        (jwk_set(GOOD, GOOD | {"exp": 5}), "two keys have the same kid"),
        (jwk_set(GOOD | {"alg": "none"}), "Invalid enum value"),
        (jwk_set(GOOD | {"kty": "dir"}), "Invalid enum value"),
        (jwk_set(GOOD | {"use": "enc"}), "Invalid enum value"),
        (jwk_set(GOOD | {"k": 5}), "Expected `str`"),
        (jwk_set(GOOD | {"iat": 1.5}), "Expected `int`"),
        (jwk_set(GOOD | {"iat": 10**12}), "Expected `int`"),
        (jwk_set(GOOD | {"kid": ""}), "length >= 1"),
        (jwk_set({"kty": "oct", "k": "k" * 43}), "missing required field"),
        (jwk_set(GOOD)[:-9] + b" " * (1 << 20) + jwk_set(GOOD)[-9:], ""),
        (b"SQLite format 3\0", "malformed"),
    ],
    ids=range(26),
)
def test_a_damaged_file_is_never_taken_for_none(path: Path, text: bytes, reason: str) -> None:
    path.touch(0o600)
    path.write_bytes(text)
    file = KeyFile(path)
    for use in (file.read, lambda: file.change(with_new)):
        with pytest.raises(ConfigError) as refused:
            use()
        told = str(refused.value)
        assert told.startswith(f"{path} is damaged, or no key file of this plugin: ")
        assert reason in told
        assert told.endswith(
            "; bring back a copy, or remove it: a new one is made at the next start, and all"
            " logins end"
        )
        assert "k" * 43 not in told
    assert path.read_bytes() == text


def test_what_is_no_file_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory; let the user"):
        KeyFile(path).read()


def test_a_link_stays_a_link(filled: KeyFile, path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(path)
    KeyFile(link).change(with_new)
    assert link.is_symlink()
    assert len(filled.read()) == 2


def test_it_is_synced_before_it_is_there_and_its_name_after(
    filled: KeyFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, rename = os.fsync, Path.rename

    def note_sync(descriptor: int) -> None:
        steps.append("sync directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync")
        sync(descriptor)

    def note_rename(self: Path, target: Path) -> Path:
        steps.append(f"rename {self.name} {target.name}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "rename", note_rename)
    filled.change(with_new)
    assert steps == [
        "sync",
        "rename auth-keys.json.partial auth-keys.json",
        "sync directory",
    ]


@pytest.mark.parametrize("step", ["ftruncate", "fsync", "fchmod"])
def test_a_change_that_fails_leaves_the_old_file_and_nothing_else(
    filled: KeyFile, path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(OSError, match="No space left"):
            filled.change(with_new)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


CHILD = """
import os, signal, sys
from pathlib import Path
from broker_auth_jwt.keyfile import KeyFile
from broker_auth_jwt.stored_key import generate

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] != "nowhere":
    module = Path if sys.argv[2] == "rename" else os
    setattr(module, sys.argv[2], die)
sys.stdin.readline()
made = generate("HS512", now=0)
keys = KeyFile(Path(sys.argv[1])).change(
    lambda keys: keys if keys and sys.argv[2] == "nowhere"
    else (made, *(key.ending(60) for key in keys))
)
print(keys[0].kid)
"""


def child(path: Path, dies_at: str = "nowhere") -> "subprocess.Popen[str]":
    words = [sys.executable, "-c", CHILD, str(path), dies_at]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("step", ["ftruncate", "fsync", "rename"])
def test_a_process_killed_while_it_writes_leaves_the_old_file(
    filled: KeyFile, path: Path, step: str
) -> None:
    before = path.read_bytes()
    with child(path, dies_at=step) as process:
        process.communicate("go\n")
    assert process.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    partial = path.with_name("auth-keys.json.partial")
    assert partial.stat().st_mode & 0o777 == 0o600
    assert len(filled.change(with_new)) == 2
    assert list(path.parent.iterdir()) == [path]


def test_a_process_killed_once_it_is_there_leaves_the_new_file(filled: KeyFile, path: Path) -> None:
    before = filled.read()
    script = CHILD.replace(
        "setattr(module", "import broker_auth_jwt.keyfile as module; setattr(module"
    )
    words = [sys.executable, "-c", script, str(path), "sync_directory"]
    done = subprocess.run(words, input="go\n", text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    after = filled.read()
    assert (len(after), after[1].kid) == (2, before[0].kid)


def test_processes_that_make_it_at_once_agree_on_one(path: Path) -> None:
    processes = [child(path) for _ in range(6)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = {process.communicate()[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0] * 6
    assert told == {KeyFile(path).read()[0].kid}
    assert list(path.parent.iterdir()) == [path]


def test_changes_at_once_come_one_after_the_other(path: Path) -> None:
    processes = [child(path, dies_at="getloadavg") for _ in range(6)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = {process.communicate()[0].strip() for process in processes}
    assert told == {key.kid for key in KeyFile(path).read()}
    assert len(told) == 6


def test_whoever_waited_for_a_change_begins_with_what_it_made(
    filled: KeyFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, waits = fcntl.flock, threading.Event()

    def note_waiting(descriptor: int, operation: int) -> None:
        if threading.current_thread() is not threading.main_thread():
            waits.set()
        lock(descriptor, operation)

    with ThreadPoolExecutor(1) as other:

        def change_while_another_waits(keys: Keys) -> Keys:
            changing.append(other.submit(filled.change, with_new))
            assert waits.wait(30)
            return with_new(keys)

        changing: list[Future[Keys]] = []
        monkeypatch.setattr(fcntl, "flock", note_waiting)
        made = filled.change(change_while_another_waits)
        after = changing[0].result()
    assert [key.kid for key in after[1:]] == [key.kid for key in made]
    assert filled.read() == after
    assert list(path.parent.iterdir()) == [path]


def test_what_was_left_open_to_others_is_closed_to_them(path: Path) -> None:
    partial = path.with_name("auth-keys.json.partial")
    partial.touch()
    partial.chmod(0o666)
    KeyFile(path).change(with_new)
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_partial_file_of_another_user_is_not_filled(
    filled: KeyFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    with pytest.raises(ConfigError, match="is not a file of the user that runs this; remove it"):
        filled.change(with_new)


def test_a_link_in_the_place_of_the_partial_file_is_not_followed(
    filled: KeyFile, path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_text("precious")
    path.with_name("auth-keys.json.partial").symlink_to(other)
    with pytest.raises(OSError, match="auth-keys.json.partial"):
        filled.change(with_new)
    assert other.read_text() == "precious"


def test_unknown_members_are_no_mistake(path: Path) -> None:
    path.touch(0o600)
    path.write_bytes(jwk_set(GOOD | {"key_ops": ["sign"], "x5c": ["…"]}))
    [key] = KeyFile(path).read()
    assert key == msgspec.convert(GOOD, StoredKey)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be trapped")
def test_root_does_not_write_where_another_user_s_link_leads(tmp_path: Path) -> None:
    path = tmp_path / "auth-keys.json"
    path.symlink_to(tmp_path / "elsewhere")
    os.lchown(path, 1234, 1234)

    with pytest.raises(ConfigError, match="is a link that is not root's own"):
        KeyFile(path).change(with_new)

    assert list(tmp_path.iterdir()) == [path]
