"""Where the tokens of logins are kept, and from whom."""

import fcntl
import os
import pwd
import stat
from threading import Event, Thread

import pytest

from broker.cli.tokens import TokenFile, Tokens
from broker.errors import ConfigError

URL = "http://127.0.0.1:8777"
TOKENS = Tokens("anna", "acc3ss", "r3fresh", 1000.0)
NEWER = Tokens("anna", "acc3ss-2", "r3fresh-2", 2000.0)


@pytest.fixture
def file(config_home):
    file = TokenFile(URL)
    with file.locked():
        file.write(TOKENS)
    return file


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def names(file):
    return sorted(path.suffix for path in file.path.parent.iterdir())


def test_tokens_are_kept_for_their_owner_alone(file, config_home):
    assert TokenFile(URL).read() == TOKENS
    assert file.path.parent == config_home / "replika-broker"
    assert (mode(file.path.parent), mode(file.path)) == (0o700, 0o600)
    assert [mode(path) for path in file.path.parent.iterdir()] == [0o600, 0o600]


def test_each_broker_has_its_own(file):
    other = TokenFile("https://broker.example")

    assert other.read() is None
    with other.locked():
        other.write(NEWER)
    assert (file.read(), other.read()) == (TOKENS, NEWER)


def test_removed_tokens_are_gone(file):
    file.remove()
    file.remove()

    assert (file.read(), names(file)) == (None, [".lock"])


@pytest.mark.parametrize("home", ["/dev/null", "/nowhere"])
def test_a_home_that_is_nowhere_holds_no_tokens(home, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", home)

    assert TokenFile(URL).read() is None


def test_a_user_without_a_home_has_no_tokens(monkeypatch):
    def fail(uid):
        raise KeyError(uid)

    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", fail)

    assert TokenFile(URL).read() is None


@pytest.mark.parametrize("named", [None, "", "relative"])
def test_without_a_directory_of_its_own_it_is_in_the_home(named, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    if named is None:
        monkeypatch.delenv("XDG_CONFIG_HOME")
    else:
        monkeypatch.setenv("XDG_CONFIG_HOME", named)

    assert TokenFile(URL).path.parent == tmp_path / ".config" / "replika-broker"


@pytest.mark.parametrize("bits", [0o040, 0o004, 0o020, 0o001])
def test_a_file_that_others_may_use_is_refused(file, bits):
    file.path.chmod(0o600 | bits)

    with pytest.raises(ConfigError) as raised:
        file.read()

    assert str(raised.value) == (
        f"{file.path} keeps tokens, and others may use it (mode {0o600 | bits:04o}): "
        f"chmod 600 {file.path}; if anybody else works here, log in anew"
    )


def test_a_directory_that_others_may_use_is_refused(file):
    file.path.parent.chmod(0o755)

    for use in (file.read, lambda: file.write(NEWER), file.remove):
        with pytest.raises(ConfigError, match=f"chmod 700 {file.path.parent}; "):
            use()


def test_what_belongs_to_somebody_else_is_refused(file, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: file.path.stat().st_uid + 1)

    with pytest.raises(ConfigError, match=f"{file.path.parent} belongs to somebody else; set XDG"):
        file.read()


def test_no_link_is_followed(file, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o600)
    lock = file.path.with_suffix(".lock")
    for path in (file.path, lock):
        path.unlink()
        path.symlink_to(victim)

    with pytest.raises(ConfigError) as raised:
        file.read()
    assert str(raised.value) == (
        f"{file.path} is a link, and tokens are kept in plain files; remove it: rm {file.path}"
    )
    with pytest.raises(ConfigError, match=f"{lock} is a link"), file.locked():
        pass
    file.write(NEWER)

    assert victim.read_text() == "precious"
    assert not file.path.is_symlink()
    assert file.read() == NEWER


def test_what_was_there_stays_when_writing_fails(file, monkeypatch):
    def fail(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)

    with pytest.raises(OSError, match="No space left"):
        file.write(NEWER)

    assert (file.read(), names(file)) == (TOKENS, [".json", ".lock"])


def test_a_damaged_file_is_told_without_what_it_holds(file):
    file.path.write_text('{"access_token": "acc3ss", "refresh_token": 7}')

    with pytest.raises(ConfigError) as raised:
        file.read()

    assert str(raised.value) == (
        f"{file.path} does not hold the tokens of a login; remove it: rm {file.path}"
    )


def test_tokens_do_not_show_themselves():
    assert repr(TOKENS) == "Tokens(user='anna', expires_at=1000.0)"


def test_who_locks_waits_for_who_has_locked(file, monkeypatch):
    waits, found = Event(), []
    lock = fcntl.flock

    def flock(*args):
        waits.set()
        lock(*args)

    def work():
        with TokenFile(URL).locked():
            found.append(TokenFile(URL).read())

    with file.locked():
        monkeypatch.setattr(fcntl, "flock", flock)
        thread = Thread(target=work)
        thread.start()
        assert waits.wait(10)
        file.write(NEWER)
    thread.join()

    assert found == [NEWER]
