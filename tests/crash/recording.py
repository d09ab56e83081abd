"""What a broker does to its disk and tells its clients, in order: its system calls, by strace.

The tracer stops a thread when it enters a call and again when it leaves, and writes its line
before the thread goes on. So whatever waits for a call to return stands below it in the log.
"""

import os
import re
import threading
from codecs import escape_decode
from dataclasses import dataclass

from served import Served

PATHS_FIRST = ("openat", "mkdir", "rename", "unlink")
MODELLED = (*PATHS_FIRST, "pwrite64", "ftruncate", "fsync", "fdatasync", "sendto")
UNMODELLED = (
    *("open", "creat", "truncate", "fallocate", "copy_file_range", "write", "writev", "pwritev"),
    *("pwritev2", "link", "linkat", "symlink", "symlinkat", "mkdirat", "rmdir", "renameat"),
    *("renameat2", "unlinkat", "sendmsg", "sendmmsg"),
)
"""On the broker's files or sockets these end the test: better than an incomplete log."""

STRACE = [
    *("strace", "-D", "-f", "--seccomp-bpf", "-qq", "-yy", "-s", str(2**26)),
    *("-e", "signal=none", "-e", "trace=" + ",".join(MODELLED + UNMODELLED)),
]


@dataclass
class Write:
    path: str
    offset: int
    data: bytes


@dataclass
class Truncate:
    path: str
    size: int


@dataclass
class Create:
    path: str
    is_directory: bool = False


@dataclass
class Rename:
    path: str
    to: str


@dataclass
class Unlink:
    path: str


@dataclass
class Sync:
    """A completed fsync or fdatasync; what ended before event number `began` is durable."""

    path: str
    began: int


@dataclass
class Send:
    """Bytes for a client; the event stands where the call was entered."""

    connection: tuple[int, int]
    """The number of the broker's run, and the client's port."""
    data: bytes


class Recorded(Served):
    """`broker serve` with everything recorded that it does to its directory, from the first."""

    def __init__(self, directory, *, durability="full"):
        self.durability = durability
        disk = directory / "disk"
        disk.mkdir()
        self.store = disk / "new" / "directories" / "broker.db"
        self.log = Log(str(disk))
        super().__init__(directory)

    def start(self):
        # A pipe, because its end is the tracer's: the log is complete then.
        pipe = self.directory / "strace"
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
        self.under = [*STRACE, "-o", pipe]
        self._lines = []
        self._reader = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._reader.start()
        super().start()

    def _read(self, pipe):
        with open(pipe, "rb") as lines:
            self._lines.extend(lines)

    def end(self, *args):
        code = super().end(*args)
        self._reader.join()
        self.log.read(self._lines)
        return code

    def environment(self):
        prefix = "BROKER__PLUGINS__STORAGE_SQLITE__"
        settings = {"PATH": str(self.store), "DURABILITY": self.durability}
        return super().environment() | {prefix + key: value for key, value in settings.items()}


CALL = re.compile(rb"(\w+)\((.*)\) += (-?\d+).*", re.DOTALL)
RESUMED = re.compile(rb"<\.\.\. \w+ resumed>")
STRING = re.compile(rb'"((?:[^"\\]+|\\.)*)"')
DESCRIPTOR = re.compile(rb"\w+<((?:->|[^>])*)>")
UNFINISHED = b" <unfinished ...>"
CLIENT = re.compile(rb"TCP(?:v6)?:\[.*:(\d+)\]")


class Log:
    """Reads the lines of one run after another, and keeps what concerns one directory."""

    def __init__(self, root):
        self.events = []
        self.root = root
        self._there = set()
        self._run = 0

    def read(self, lines):
        """Add the events of a run."""
        self._run += 1
        entered = {}
        for line in lines:
            thread, _, text = line.rstrip(b"\n").partition(b" ")
            began, before, send = entered.pop(thread, (len(self.events), b"", None))
            text = before + RESUMED.sub(b"", text.lstrip(), count=1)
            if text.startswith(b"sendto(") and send is None:
                send = self._send(text)
            if text.endswith(UNFINISHED):
                entered[thread] = began, text.removesuffix(UNFINISHED), send
            else:
                self._leave(began, text, send)

    def _send(self, text):
        client = CLIENT.fullmatch(DESCRIPTOR.search(text)[1])
        if client is None:
            return None
        send = Send((self._run, int(client[1])), unescape(STRING.search(text)[1]))
        self.events.append(send)
        return send

    def _leave(self, began, text, send):
        call = CALL.fullmatch(text)
        if call is None:
            return  # the process ended in it, or it is no call
        name, arguments, result = call[1].decode(), call[2], int(call[3])
        if send is not None:
            send.data = send.data[: max(0, result)]
        elif result >= 0:
            self._add(began, name, arguments, result)

    def _add(self, began, name, arguments, result):
        if name not in MODELLED:
            # What is written may name anything; where it is written must not concern us.
            about = STRING.sub(b"", arguments) if "write" in name else arguments
            assert self.root.encode() not in about, f"not modelled: {name}({about})"
            assert not CLIENT.search(about), f"not modelled: {name}({about})"
            return
        strings = [unescape(string) for string in STRING.findall(arguments)]
        last = arguments.rpartition(b", ")[2]
        if name in PATHS_FIRST:
            path = os.fsdecode(strings[0])
            assert os.path.isabs(path) or name == "openat", f"not modelled: {name}({arguments})"
        else:
            path = os.fsdecode(unescape(DESCRIPTOR.match(arguments)[1]))
        if not f"{path}/".startswith(f"{self.root}/"):
            return
        match name:
            case "pwrite64":
                self.events.append(Write(path, int(last), strings[0][:result]))
            case "ftruncate":
                self.events.append(Truncate(path, int(last)))
            case "fsync" | "fdatasync":
                self.events.append(Sync(path, began))
            case "openat":
                self._open(path, arguments)
            case "mkdir":
                self._create(path, is_directory=True)
            case "rename":
                to = os.fsdecode(strings[1])
                self._there = self._there - {path} | {to}
                self.events.append(Rename(path, to))
            case "unlink":
                self._there.remove(path)
                self.events.append(Unlink(path))

    def _open(self, path, arguments):
        assert b"O_TRUNC" not in arguments, "not modelled"
        if b"O_CREAT" in arguments and path not in self._there:
            self._create(path)

    def _create(self, path, **options):
        self._there.add(path)
        self.events.append(Create(path, **options))


def unescape(text):
    """Return what strace's quoted text stands for."""
    return escape_decode(text)[0]
