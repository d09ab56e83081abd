"""The systemd units, started by a real systemd, which BROKER_SYSTEMD=1 asks for."""

import os
import shutil
from pathlib import Path

import pytest
from deployed import DEPLOY
from nested_systemd import NestedSystemd, is_possible

pytestmark = [
    pytest.mark.skipif("BROKER_SYSTEMD" not in os.environ, reason="BROKER_SYSTEMD is not set"),
    pytest.mark.timeout(600),
]
CONFIG = """
[broker]
plugins = ["storage_sqlite", "auth_jwt"]

[plugins.auth_jwt]
secret = { file = "jwt.secret" }
"""
BY_HAND = ("systemd-run", "--unit", "replika-broker-command", "--quiet", "--collect", "--wait")


def cgroups():
    """Where groups of processes are made."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return next(Path(place) for _, place, kind, *_ in mounts if kind == "cgroup2")


@pytest.fixture(scope="module")
def systemd(tmp_path_factory):
    """A systemd with the units, and a config with a secret, as the docs have it."""
    assert is_possible(), "it takes root, systemd, dbus-daemon, and a Python in /usr"
    folder = tmp_path_factory.mktemp("systemd")
    nested = NestedSystemd(folder, cgroups() / f"test-{os.getpid()}")
    nested.install()
    units = nested.etc / "systemd" / "system"
    shutil.copytree(DEPLOY / "systemd", units, symlinks=True, dirs_exist_ok=True)
    secrets = units / "replika-broker-.service.d" / "secrets.conf"
    secrets.write_text("[Service]\nLoadCredential=jwt.secret:/etc/broker/jwt.secret\n")
    link = units / "replika-broker.service.d" / "secrets.conf"
    link.symlink_to("../replika-broker-.service.d/secrets.conf")
    # So that a test need not wait for minutes.
    impatient = units / "replika-broker.service.d" / "impatient.conf"
    impatient.write_text("[Service]\nWatchdogSec=3s\nRestartSec=1s\nStandardError=file:/run/told\n")
    (nested.etc / "broker").mkdir()
    (nested.etc / "broker" / "broker.toml").write_text(CONFIG)
    (nested.etc / "broker" / "jwt.secret").write_text(os.urandom(32).hex())
    for path in (nested.etc / "broker").iterdir():
        path.chmod(0o600)
    with nested:
        yield nested


@pytest.fixture
def service(systemd):
    """The service, which runs."""
    done = systemd.run("systemctl", "start", "replika-broker")
    assert done.returncode == 0, done.stderr + systemd.run("cat", "/run/told").stdout
    yield systemd
    systemd.run("systemctl", "stop", "replika-broker")


def shown(systemd, name, unit="replika-broker"):
    return systemd.run("systemctl", "show", "--property", name, "--value", unit).stdout.strip()


def test_it_serves_once_it_is_started_and_ends_well(service):
    assert shown(service, "ActiveState") == "active"
    asked = service.run("/opt/broker/bin/python", "-c", ASK)
    assert asked.stdout.strip() == '{"status":"ok"}', asked.stderr

    assert service.run("systemctl", "stop", "replika-broker").returncode == 0
    assert (shown(service, "Result"), shown(service, "ExecMainStatus")) == ("success", "0")


ASK = """
from urllib.request import urlopen

print(urlopen("http://127.0.0.1:8777/healthz", timeout=20).read().decode())
"""


def test_a_backup_is_made_while_it_runs_and_restored_when_it_does_not(service):
    assert service.run("systemctl", "start", "replika-broker-backup").returncode == 0
    [backup] = service.run("ls", "/var/lib/private/broker/backups").stdout.split()

    service.run("systemctl", "stop", "replika-broker")
    command = ("/opt/broker/bin/broker", "db", "restore", f"backups/{backup}", "--force")
    restored = service.run(*BY_HAND, "--pipe", *command)

    assert restored.returncode == 0, restored.stderr
    assert "restored 0 messages in 0 queues" in restored.stdout


def test_commands_by_hand_find_the_config_and_its_secrets(service):
    done = service.run(*BY_HAND, "--pipe", "/opt/broker/bin/broker", "config", "check")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("/run/credentials/replika-broker-command.service/broker.toml: ok")


def test_one_that_stands_still_is_restarted_and_tells_where_it_stood(service):
    before = int(shown(service, "NRestarts"))
    service.run("kill", "-STOP", shown(service, "MainPID"))

    while int(shown(service, "NRestarts")) == before:
        assert shown(service, "ActiveState") != "failed"
    while (state := shown(service, "ActiveState")) != "active":
        assert state == "activating"

    assert "Fatal Python error: Aborted" in service.run("cat", "/run/told").stdout


def test_a_wrong_config_is_not_tried_again(systemd):
    systemd.run("sh", "-c", "echo '[misspelt]' >/etc/broker/broker.toml")
    try:
        assert systemd.run("systemctl", "start", "replika-broker").returncode == 1
        assert shown(systemd, "ActiveState") == "failed"
        assert shown(systemd, "ExecMainStatus") == "78"
    finally:
        systemd.run("sh", "-c", f"cat >/etc/broker/broker.toml <<'EOF'\n{CONFIG}\nEOF")
        systemd.run("systemctl", "reset-failed", "replika-broker")
