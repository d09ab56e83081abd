"""Files and directories: whose they are, who else may touch them, on which disk they lie."""

from __future__ import annotations

import os
import pwd
import shlex
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from broker.config import DEV_KEY, Config, TlsConfig
from broker.doctor.finding import Finding, ok, warning
from broker.plugins import Plugin

MOUNTS = Path("/proc/self/mounts")

NETWORKED = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "davfs", "fuse.davfs", "fuse.glusterfs", "fuse.s3fs"}
    | {"fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb2", "smb3", "smbfs"}
)

IN_MEMORY = frozenset({"ramfs", "tmpfs"})

_SQLITE = b"SQLite format 3\x00"
_KEY_NAMES = ("key", "keys")


def look_at_modes(
    config: Config, plugins: Sequence[Plugin], mounts: Path = MOUNTS
) -> Iterator[Finding]:
    """Find what others on this machine can change, or read though it is secret."""
    places = [path for path in (config.path, config.broker.data_dir) if path is not None]
    problems = [finding for path in places for finding in _changeable(path)]
    for path in dict.fromkeys(_files_of(config, plugins)):
        problems += [*_changeable(path), *(_readable(path) if _is_secret(path) else ())]
    for path in dict.fromkeys(filter(Path.is_file, config.layers.secret_files())):
        # What is mounted from memory is for a container or a service that is alone with it.
        is_alone = _file_system(path, mounts) in IN_MEMORY
        problems += [*_changeable(path), *(() if is_alone else _readable(path))]
    yield from problems or [ok("file-mode", "files", "no others can change them, or read secrets")]


def look_at_owner(config: Config) -> Iterator[Finding]:
    """Tell if root looks at what belongs to somebody else."""
    data_dir = config.broker.data_dir
    owner = _owner(data_dir)
    if owner is None:
        yield ok("owner", "broker.data_dir", f"{data_dir} is not there yet; a start makes it")
    elif is_foreign(data_dir):
        text = f"{data_dir} belongs to {_user(owner)}, and root runs this"
        yield warning("owner", "broker.data_dir", text)
    else:
        yield ok("owner", "broker.data_dir", f"{data_dir} belongs to {_user(owner)}")


def is_foreign(path: Path) -> bool:
    """Tell whether files that this process makes there may be closed to their directory's owner."""
    return os.geteuid() == 0 and _owner(path) not in (None, 0)


def look_at_disk(config: Config, mounts: Path = MOUNTS) -> Iterator[Finding]:
    """Tell if the data directory is on a network, where the system says so."""
    data_dir = config.broker.data_dir
    kind = _file_system(data_dir, mounts)
    if kind in NETWORKED:
        text = f"is on a network ({kind}), where locks and syncs may not hold what they promise"
        yield warning("network-file-system", "broker.data_dir", f"{data_dir} {text}")
    elif kind:
        yield ok("network-file-system", "broker.data_dir", f"is on {kind}, no network")


def _changeable(path: Path) -> Iterator[Finding]:
    mode = _mode(path)
    # In a directory such as /tmp, others can make files, but not replace those of somebody else.
    if mode & stat.S_IWOTH and not (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        remedy = f"chmod o-w {shlex.quote(str(path))}"
        yield warning("file-mode", str(path), "everybody on this machine can change it", remedy)


def _readable(path: Path) -> Iterator[Finding]:
    if _mode(path) & stat.S_IROTH:
        remedy = f"chmod o-r {shlex.quote(str(path))}"
        yield warning("file-mode", str(path), "everybody on this machine can read it", remedy)


def _files_of(config: Config, plugins: Sequence[Plugin]) -> Iterator[Path]:
    """Yield the files that the config names, as far as they are there."""
    data_dir = config.broker.data_dir
    named = [data_dir / text for plugin in plugins for text in _texts(plugin.config)]
    if isinstance(config.server.tls, TlsConfig):
        named.append(config.server.tls.key)
    elif config.server.tls is not None:
        named.append(data_dir / DEV_KEY)
    for path in named:
        # A store may keep its newest part in a file beside it.
        for candidate in (path, path.with_name(f"{path.name}-wal")):
            if stat.S_ISREG(_mode(candidate)):
                yield candidate


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from (text for _, inner in value for text in _texts(inner))
    elif isinstance(value, dict):
        yield from (text for inner in value.values() for text in _texts(inner))
    elif isinstance(value, list | tuple):
        yield from (text for inner in value for text in _texts(inner))
    elif isinstance(value, str | Path) and str(value) and "\0" not in str(value):
        yield str(value)


def _is_secret(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    return (
        head.startswith(_SQLITE)
        or b"PRIVATE KEY" in head
        or path.name.endswith("-wal")
        or (path.stem.replace("_", "-").split("-")[-1] in _KEY_NAMES)
    )


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:
        return None


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _file_system(path: Path, mounts: Path) -> str:
    """Return the type of the file system that a path is on; empty if that cannot be told."""
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    parents = {str(parent) for parent in (path.resolve(), *path.resolve().parents)}
    best = ("", "")
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        # Of two on one point, the later is what is seen.
        if point in parents and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1]
