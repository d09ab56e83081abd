"""A systemd of our own, in namespaces of its own, which sees the files of this machine and changes none
of them. It takes root, and a Python in /usr, since units see no home directories."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

SYSTEMD = Path("/lib/systemd/systemd")
PYTHON = Path(f"/usr/bin/python3.{sys.version_info.minor}")
REFUSED = "-sys_time,-sys_boot,-sys_module,-mac_admin"
"""Capabilities that change the machine itself, and that no namespace keeps."""

BOOT = """
set -e
mount --make-rprivate /
mount --rbind /dev /dev
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -t overlay overlay -o lowerdir=/etc,upperdir=$1/etc,workdir=$1/work /etc
mount -t tmpfs tmpfs /opt
mkdir /opt/broker
mount --bind $1/broker /opt/broker
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /run
mkdir -p /run/dbus
mount --make-rshared /
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_UNIT_PATH=/etc/systemd/system \\
    /lib/systemd/systemd --system --unit=nested.target --log-target=console
"""

UNITS = {
    "nested.target": "[Unit]\nDefaultDependencies=no\nRequires=dbus.socket dbus.service\n",
    "dbus.socket": "[Unit]\nDefaultDependencies=no\n"
    "[Socket]\nListenStream=/run/dbus/system_bus_socket\n",
    "dbus.service": "[Unit]\nDefaultDependencies=no\nRequires=dbus.socket\nAfter=dbus.socket\n"
    "[Service]\nExecStart=dbus-daemon --system --address=systemd: --nofork --nopidfile\n",
    **{
        f"{name}.target": "[Unit]\nDefaultDependencies=no\n"
        for name in ("sysinit", "basic", "network-online", "shutdown", "exit", "timers")
    },
}
"""All that it starts, and what services and timers wait for."""


def is_possible():
    return (
        os.geteuid() == 0
        and all(path.exists() for path in (SYSTEMD, PYTHON))
        and all(map(shutil.which, ("dbus-daemon", "nsenter", "setpriv", "unshare")))
    )


def link(source, target):
    """Lay down a file without its content, if it lies on the same disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


class NestedSystemd:
    """Runs units of /etc/systemd/system; use it in a `with` block."""

    def __init__(self, folder, group):
        self._folder, self._group = folder, group
        self.etc = folder / "etc"
        (self.etc / "systemd" / "system").mkdir(parents=True)
        (folder / "work").mkdir()
        for name, text in UNITS.items():
            (self.etc / "systemd" / "system" / name).write_text(text)

    def install(self):
        """Lay down the broker of these tests as /opt/broker."""
        target = self._folder / "broker"
        subprocess.run([PYTHON, "-m", "venv", "--without-pip", target], check=True)
        [packages] = target.glob("lib/python*/site-packages")
        source = sysconfig.get_path("purelib")
        shutil.copytree(source, packages, dirs_exist_ok=True, copy_function=link)
        for path in packages.glob("*.pth"):
            for folder in path.read_text().splitlines():
                if folder.startswith("/"):  # where something is that was installed to be edited
                    for package in Path(folder).glob("broker*/"):
                        shutil.copytree(package, packages / package.name, dirs_exist_ok=True)
            path.unlink()
        program = target / "bin" / "broker"
        program.write_text(
            "#!/opt/broker/bin/python\nimport sys\nfrom broker.cli import main\nsys.exit(main())\n"
        )
        program.chmod(0o755)

    def __enter__(self):
        self._group.mkdir()
        begin = f'echo $$ >{self._group}/cgroup.procs; exec setpriv --bounding-set {REFUSED} "$@"'
        spaces = ["--mount", "--pid", "--fork", "--uts", "--ipc", "--net", "--cgroup"]
        with (self._folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", begin, "sh"]
                + ["unshare", *spaces, "--kill-child", "sh", "-c", BOOT, "sh", self._folder],
                stdout=log,
                stderr=log,
            )
        while self.run("systemctl", "is-active", "dbus.service").stdout != "active\n":
            assert self._process.poll() is None, (self._folder / "log").read_text()
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        while "populated 1" in (self._group / "cgroup.events").read_text():
            pass  # the system ends all processes of a namespace whose first has ended
        for path in sorted(self._group.glob("**/"), reverse=True):
            path.rmdir()

    def run(self, *command):
        """Run a command in there; return what it told."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        inside = children.read_text().split() or ["self"]
        spaces = ["--mount", "--pid", "--ipc", "--cgroup", "--net", "--uts"]
        return subprocess.run(
            ["nsenter", "--target", inside[0], *spaces, *command], capture_output=True, text=True
        )
