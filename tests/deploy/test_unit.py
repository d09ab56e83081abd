"""The systemd units: systemd's own opinion of them, and a start of what they start."""

import json
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from deployed import DEPLOY, ROOT, dropins, environment_of, longest_end, unit
from environments import execute
from pages import blocks

from broker import ConfigError, StorageLocked, StorageUnreadable
from broker.config import ServerConfig
from broker.ending import FORCED
from broker.errors import CannotListen
from broker.health import STUCK_MS
from broker.server import MOST_FILES, STOP_SECONDS

BROKER = Path(sys.executable).parent / "broker"
INSTALLED = "/opt/broker/bin/broker"
SERVICE, BACKUP = "replika-broker.service", "replika-broker-backup.service"
NEWER = ("RestartSteps", "RestartMaxDelaySec")
"""Settings that systemd knows since 254, and an older one says so of."""

DOCS = (ROOT / "docs" / "deploying.md").read_text()
CONFIG = """
[broker]
plugins = ["storage_sqlite", "auth_jwt"]
"""

demands_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture
def here(tmp_path):
    """The units, with the broker where it is here."""
    folder = tmp_path / "system"
    shutil.copytree(DEPLOY / "systemd", folder, symlinks=True)
    for path in folder.glob("*.service"):
        path.write_text(path.read_text().replace(INSTALLED, str(BROKER)))
    return folder


@demands_systemd
def test_systemd_finds_nothing_wrong(here):
    units = sorted(path for path in here.iterdir() if path.is_file())

    done = execute("systemd-analyze", "verify", *units)

    lines = (done.stdout + done.stderr).splitlines()
    unknown = [f"Unknown key '{key}' in section [Service], ignoring." for key in NEWER]
    assert [line for line in lines if not line.endswith(tuple(unknown))] == []
    assert done.returncode == 0


@demands_systemd
@pytest.mark.parametrize("name", [SERVICE, BACKUP])
def test_systemd_finds_it_hardened(here, name):
    done = execute("systemd-analyze", "security", "--offline=true", "--threshold=20", here / name)

    assert done.returncode == 0, done.stdout[-2000:]


def test_each_has_the_same_user_sandbox_and_credentials():
    links = {path.name: path.resolve() for path in (DEPLOY / "systemd" / f"{SERVICE}.d").iterdir()}
    shared = DEPLOY / "systemd" / "replika-broker-.service.d"

    assert links == {path.name: path for path in shared.iterdir()}
    assert unit(BACKUP)["LoadCredential"] == unit(SERVICE)["LoadCredential"]


def test_it_ends_before_it_is_killed():
    [seconds] = unit(SERVICE)["TimeoutStopSec"]

    assert int(seconds.removesuffix("s")) > longest_end(ServerConfig())


def test_the_docs_give_it_as_long():
    pages = [(ROOT / "docs" / name).read_text() for name in ("deploying.md", "operations.md")]
    added = re.findall(r"(?:and|\+|killed) (\d+) s(?: later| before|\.)", "\n".join(pages))
    [whole] = re.findall(r"--stop-timeout (\d+)", pages[0])

    assert len(added) == 3
    assert all(int(seconds) > STOP_SECONDS for seconds in added)
    assert int(whole) > longest_end(ServerConfig())


def test_what_stands_still_is_ended_and_what_ends_is_not():
    [minutes] = unit(SERVICE)["WatchdogSec"]
    seconds = 60 * int(minutes.removesuffix("min"))

    # It says twice in that time that it lives, and nothing once it closes what it opened.
    assert seconds / 2 + STOP_SECONDS < seconds
    assert seconds * 1000 < STUCK_MS


def test_a_start_may_take_as_long_as_its_store_does():
    assert unit(SERVICE)["Type"] == ["notify"]
    assert unit(SERVICE)["TimeoutStartSec"] == ["infinity"]


def test_it_has_as_many_open_files_as_the_broker_asks_for():
    assert unit(SERVICE)["LimitNOFILE"] == [str(MOST_FILES)]


def test_only_what_ends_the_same_way_again_is_not_started_again():
    assert unit(SERVICE)["Restart"] == ["always"]
    [codes] = unit(SERVICE)["RestartPreventExitStatus"]
    assert set(map(int, codes.split())) == {StorageLocked.exit_code, ConfigError.exit_code}
    for passing in (FORCED, StorageUnreadable.exit_code, CannotListen.exit_code):
        assert str(passing) not in codes.split()


def test_it_is_tried_again_however_long_something_is_away_but_not_all_the_time():
    settings = unit(SERVICE)

    assert settings["StartLimitIntervalSec"] == ["0"]  # there is no limit
    assert "StartLimitBurst" not in settings
    assert (settings["RestartSec"], settings["RestartMaxDelaySec"]) == (["5s"], ["1min"])


class Machine:
    """What systemd prepares for a unit: its state, its credentials, its environment."""

    def __init__(self, directory):
        self.state, self.credentials = directory / "lib", directory / "credentials"
        self.credentials.mkdir()
        (self.state / "broker").mkdir(parents=True)

    def load(self, lines, files):
        """Lay down what these lines name, of the files that there are."""
        for line in lines:
            name, _, path = line.partition(":")
            file = self.credentials / name
            file.unlink(missing_ok=True)  # several units have the same
            file.write_bytes(files[path])
            file.chmod(0o400)

    def command(self, settings):
        [line] = settings["ExecStart"]
        line = line.replace("%%", "%").replace("$$", "$").replace(INSTALLED, str(BROKER))
        return shlex.split(self._resolve(line))

    def surroundings(self, settings):
        [mask], [folder] = settings["UMask"], settings["WorkingDirectory"]
        environment = {k: self._resolve(v) for k, v in environment_of(settings).items()}
        return {
            "env": {"PATH": os.environ["PATH"], **environment},
            "cwd": self._resolve(folder),
            "umask": int(mask, 8),
            "stdout": subprocess.PIPE,
        }

    def _resolve(self, text):
        return text.replace("%d", str(self.credentials)).replace("%S", str(self.state))


def documented():
    """The lines LoadCredential= of the docs, the files that they name, and the config there."""
    [dropin] = blocks(DOCS, "ini")
    [config] = blocks(DOCS, "toml")
    lines = [line.partition("=")[2] for line in dropin.splitlines() if "LoadCredential" in line]
    issued = trustme.CA().issue_cert("127.0.0.1")
    files = {
        "/etc/broker/broker.toml": f"{config}{CONFIG}".encode(),
        "/etc/broker/jwt.secret": os.urandom(32).hex().encode(),
        "/etc/letsencrypt/live/broker.example/fullchain.pem": issued.cert_chain_pems[0].bytes(),
        "/etc/letsencrypt/live/broker.example/privkey.pem": issued.private_key_pem.bytes(),
    }
    return lines, files


def test_what_they_start_is_a_broker_and_its_backup_and_nobody_else_may_read_their_files(tmp_path):
    machine = Machine(tmp_path)
    service, backup = unit(SERVICE), unit(BACKUP)
    added, files = documented()
    machine.load([*service["LoadCredential"], *backup["LoadCredential"], *added], files)
    command = [*machine.command(service), "--port", "0", "--json"]
    with subprocess.Popen(command, **machine.surroundings(service)) as process:
        screen = json.loads(process.stdout.readline())
        with subprocess.Popen(machine.command(backup), **machine.surroundings(backup)) as copying:
            told = copying.stdout.read().decode()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0

    assert (screen["storage"], screen["url"][:8]) == ("storage_sqlite", "https://")
    assert copying.returncode == 0
    state = machine.state / "broker"
    [made] = (state / "backups").iterdir()
    assert told.startswith(f"backups/{made.name}: ")
    files = [path for path in state.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"broker.db", "auth.db", made.name}
    assert {oct(stat.S_IMODE(path.stat().st_mode) & 0o077) for path in files} == {"0o0"}


def test_commands_by_hand_have_the_sandbox_too():
    names = re.findall(r"systemd-run --unit (\S+)", DOCS)

    assert len(names) == 2
    for name in names:
        assert dropins(DEPLOY / "systemd", f"{name}.service") == (
            dropins(DEPLOY / "systemd", BACKUP)
        )
