"""The systemd unit: systemd's own opinion of it, and a start of what it starts."""

import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from deployed import DEPLOY, KILLED_AFTER_SECONDS, environment_of, unit
from environments import execute

from broker.config import ServerConfig
from broker.server import MOST_FILES

BROKER = Path(sys.executable).parent / "broker"
UNIT = DEPLOY / "systemd" / "replika-broker.service"

demands_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture
def here(tmp_path):
    """The unit, with the broker where it is here."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/broker/bin/broker", str(BROKER)))
    return unit


@demands_systemd
def test_systemd_finds_nothing_wrong(here):
    done = execute("systemd-analyze", "verify", here)

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@demands_systemd
def test_systemd_finds_it_hardened(here):
    done = execute("systemd-analyze", "security", "--offline=true", "--threshold=20", here)

    assert done.returncode == 0, done.stdout[-2000:]


def test_it_ends_before_it_is_killed():
    [seconds] = unit()["TimeoutStopSec"]
    server = ServerConfig()

    assert int(seconds.removesuffix("s")) > (
        server.unready_seconds + server.shutdown_seconds + KILLED_AFTER_SECONDS
    )


def test_it_has_as_many_open_files_as_the_broker_asks_for():
    assert unit()["LimitNOFILE"] == [str(MOST_FILES)]


def test_what_ends_the_same_way_again_is_not_started_again():
    assert unit()["Restart"] == ["always"]
    assert unit()["RestartPreventExitStatus"] == ["75 78"]


def test_what_it_starts_is_a_broker_whose_files_nobody_else_may_read(tmp_path):
    settings = unit()
    state, credentials = tmp_path / "state", tmp_path / "credentials"
    [directory], [mask] = settings["StateDirectory"], settings["UMask"]
    (state / directory).mkdir(parents=True)
    credentials.mkdir()
    for line in settings["LoadCredential"]:
        name, _, path = line.partition(":")
        assert path == f"/etc/broker/{name}"
        (credentials / name).write_text('[broker]\nplugins = ["storage_sqlite", "auth_jwt"]\n')
        (credentials / name).chmod(0o400)

    def resolve(text):
        return text.replace("%d", str(credentials)).replace("%S", str(state))

    [start] = settings["ExecStart"]
    program, *arguments = shlex.split(resolve(start))
    assert Path(program).name == BROKER.name
    environment = {name: resolve(value) for name, value in environment_of(settings).items()}
    process = subprocess.Popen(
        [BROKER, *arguments, "--port", "0", "--json"],
        env={"PATH": os.environ["PATH"], **environment},
        cwd="/",
        umask=int(mask, 8),
        stdout=subprocess.PIPE,
    )
    with process:
        screen = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0

    assert screen["storage"] == "storage_sqlite"
    made = list((state / directory).iterdir())
    assert {file.name for file in made} >= {"broker.db", "auth.db", "auth-keys.json"}
    assert {oct(stat.S_IMODE(file.stat().st_mode) & 0o077) for file in made} == {"0o0"}
