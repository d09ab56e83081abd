"""Whose files are, who else may touch them, on which disk they lie."""

import os
import sqlite3
from pathlib import Path

import pytest

from broker.config import make_config, read_config
from broker.doctor.files import look_at_disk, look_at_modes

ACME = """
    import broker
    from pathlib import Path
    from pydantic import BaseModel

    class Config(BaseModel):
        keys: str = "acme.json"
        store: Path = Path("acme.db")
        more: list[str] = ["acme.pem", "data", "nul\\0", "x" * 300]
        by_name: dict[str, str] = {"a": "readme.txt"}

    @broker.hookimpl
    def config_schema():
        return Config
"""


@pytest.fixture
def modes(install, configure, doctor):
    """The paths of which something is said, and what."""
    install("acme", ACME)
    path = configure("memory", "acme")

    def modes():
        return [
            (os.path.relpath(f.subject), f.text.removeprefix("everybody on this machine can "))
            for f in doctor("file-mode")
            if f.level != "ok"
        ]

    assert modes() == []
    assert path.stat().st_mode & 0o777 == 0o600
    return modes


def make(name, content=b"", mode=0o600):
    path = Path(name)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_config_that_others_can_change_is_named(modes):
    Path("broker.toml").chmod(0o602)

    assert modes() == [("broker.toml", "change it")]


def test_a_directory_that_others_can_change_is_named_unless_files_in_it_are_safe(modes, folder):
    folder.chmod(0o707)
    assert modes() == [(".", "change it")]

    folder.chmod(0o1777)
    assert modes() == []


def test_what_is_public_may_be_read(modes):
    make("readme.txt", b"hello", 0o644)
    make("acme.pem", b"-----BEGIN CERTIFICATE-----", 0o644)
    make("other-key.pem", b"-----BEGIN PRIVATE KEY-----", 0o644)  # no plugin names it
    Path("data").mkdir(mode=0o755)

    assert modes() == []


def test_a_private_key_that_others_can_read_is_named(modes):
    make("acme.pem", b"-----BEGIN CERTIFICATE-----\n-----BEGIN RSA PRIVATE KEY-----", 0o644)

    assert modes() == [("acme.pem", "read it")]


def test_a_database_that_others_can_read_is_named_with_its_log(modes):
    with sqlite3.connect("acme.db") as database:
        database.execute("CREATE TABLE t (x)")
    database.close()
    make("acme.db-wal", b"", 0o604)
    Path("acme.db").chmod(0o604)

    assert modes() == [("acme.db", "read it"), ("acme.db-wal", "read it")]


def test_a_file_that_holds_keys_by_its_name_is_named(modes, configure):
    make("acme-keys.json", b"{}", 0o604)
    configure("memory", "acme", tables='[plugins.acme]\nkeys = "acme-keys.json"')

    assert modes() == [("acme-keys.json", "read it")]


def test_whatever_others_can_change_is_named(modes):
    make("readme.txt", b"hello", 0o646)

    assert modes() == [("readme.txt", "change it")]


def test_the_remedy_can_be_pasted(install, configure, folder):
    from broker.doctor import examine

    install("acme", ACME.replace("readme.txt", "read me.txt"))
    configure("memory", "acme")
    make("read me.txt", b"hello", 0o646)

    [finding] = [f for f in examine(None, seconds=60) if f.check == "file-mode"]

    assert finding.remedy == f"chmod o-w '{folder}/read me.txt'"


def test_the_key_of_the_certificate_is_looked_at(modes, configure):
    make("k.pem", b"-----BEGIN PRIVATE KEY-----", 0o604)
    configure("memory", server='tls = { cert = "c.pem", key = "k.pem" }')

    assert modes() == [("k.pem", "read it")]


SECRETS = """
[broker]
plugins = ["memory"]
[plugins.acme]
secret = { file = "acme.txt" }
keys = [{ file = "acme.txt" }, { file = "none.txt" }]
"""


@pytest.fixture
def secrets(folder, monkeypatch):
    """What is said of the secret `acme.txt`, and of `dir/Plugins/beta__secret`, both readable."""
    make("broker.toml", SECRETS.encode())
    make("acme.txt", b"hunter2", 0o604)
    (folder / "dir" / "Plugins").mkdir(parents=True)
    make("dir/Plugins/beta__secret", b"hunter2", 0o604)
    make("mounts", f"disk {folder.resolve()} ext4 rw 0 0\n".encode())
    monkeypatch.setenv("BROKER_SECRETS_DIR", "dir")

    def secrets():
        found = look_at_modes(read_config(), [], Path("mounts"))
        return [(os.path.relpath(f.subject), f.text.split()[-2]) for f in found if f.remedy]

    return secrets


def test_a_file_that_is_a_secret_and_that_others_can_read_is_named(secrets):
    assert secrets() == [("acme.txt", "read"), ("dir/Plugins/beta__secret", "read")]

    Path("acme.txt").chmod(0o602)
    Path("dir/Plugins/beta__secret").chmod(0o600)
    assert secrets() == [("acme.txt", "change")]


def test_a_secret_that_is_mounted_from_memory_is_for_this_process_alone(secrets, folder):
    make("mounts", f"tmpfs {folder.resolve()}/dir tmpfs rw 0 0\n".encode())

    assert secrets() == [("acme.txt", "read")]


MOUNTS = """\
/dev/a / ext4 rw 0 0
server:/x {root}/far nfs4 rw 0 0
/dev/b {root}/far/near ext4 rw 0 0
a {root}/with\\040space cifs rw 0 0
old {root}/twice ext4 rw 0 0
new {root}/twice fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("", None),
        ("far", "nfs4"),
        ("far/data", "nfs4"),
        ("farther", None),
        ("far/near/data", None),
        ("with space", "cifs"),
        ("twice", "fuse.sshfs"),
    ],
)
def test_a_directory_on_a_network_is_named(tmp_path, directory, kind):
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS.format(root=tmp_path.resolve()))
    config = make_config({"broker": {"data_dir": str(tmp_path / directory)}})

    [finding] = look_at_disk(config, mounts)

    assert finding.level == ("ok" if kind is None else "warning")
    assert (f"is on a network ({kind})" in finding.text) == (kind is not None)


def test_where_the_system_does_not_tell_nothing_is_said(tmp_path):
    assert list(look_at_disk(make_config({}), tmp_path / "none")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_opens_nothing_that_belongs_to_others(configure, doctor, folder):
    configure("storage_sqlite", broker='data_dir = "data"')
    (folder / "data").mkdir()
    os.chown(folder / "data", 65534, 65534)

    assert [f.check for f in doctor()] == ["owner", "not-opened"]
    assert list((folder / "data").iterdir()) == []


def test_a_directory_that_is_not_there_is_made_as_a_start_makes_it(configure, doctor, folder):
    configure("storage_sqlite", broker='data_dir = "data"')

    assert [f.text for f in doctor("owner")] == [
        f"{folder}/data is not there yet; a start makes it"
    ]
    assert (folder / "data").stat().st_mode & 0o777 == 0o700
