"""Dying in an exact place: SIGKILL at the n-th step of a process.

A step is a statement that SQLite begins, or a change of a file: what is created, written, cut or
removed; a write may also be cut short in its middle. The kernel keeps what a killed process has
written, so a process that died between two steps leaves what it left at one of them.
"""

import _sqlite3
import ctypes
import multiprocessing
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

_C = ctypes.CFUNCTYPE
_Size, _Int, _Text, _Pointer = ctypes.c_ssize_t, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p
_PWRITE = _C(_Size, _Int, _Pointer, ctypes.c_size_t, ctypes.c_int64, use_errno=True)
_CALLS = {
    "open": _C(_Int, _Text, _Int, _Int, use_errno=True),
    "unlink": _C(_Int, _Text, use_errno=True),
    "ftruncate": _C(_Int, _Int, ctypes.c_int64, use_errno=True),
    "pwrite": _PWRITE,
    "pwrite64": _PWRITE,
}
"""The system calls with which SQLite changes files; of the last two it has one."""

_AUDITED = ("os.rename", "os.remove", "os.truncate", "os.mkdir")


class _Vfs(ctypes.Structure):
    """`sqlite3_vfs`, by whose last functions SQLite lets tests replace its system calls."""

    _fields_ = [
        ("numbers", _Int * 3),
        ("pointers", _Pointer * 3),
        ("functions", _Pointer * 13),
        ("set_system_call", _C(_Int, _Pointer, _Text, _Pointer)),
        ("get_system_call", _C(_Pointer, _Pointer, _Text)),
    ]


def find_vfs() -> _Vfs:
    """Return how Python's SQLite reaches the system; raises AttributeError if that is hidden."""
    find = ctypes.CDLL(_sqlite3.__file__).sqlite3_vfs_find
    find.restype = ctypes.POINTER(_Vfs)
    return find(None).contents


class Steps:
    """Counts the steps of this process from when it is armed, and dies at the fatal one."""

    def __init__(self, fatal: int | None) -> None:
        self.count = 0
        self.is_armed = False
        self._fatal = fatal
        self._kept: list[object] = []

    def arm(self) -> None:
        """Begin to count."""
        self.is_armed = True

    def disarm(self) -> None:
        """Count no more."""
        self.is_armed = False

    def watch(self) -> None:
        """Notice the steps of SQLite and of Python."""
        vfs = find_vfs()
        for name, prototype in _CALLS.items():
            address = vfs.get_system_call(ctypes.addressof(vfs), name.encode())
            if address is not None:
                replaced = prototype(self._replace(name, prototype(address)))
                pointer = ctypes.cast(replaced, _Pointer)
                vfs.set_system_call(ctypes.addressof(vfs), name.encode(), pointer)
                self._kept.append(replaced)
        really_connect = sqlite3.connect

        def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection = really_connect(*arguments, **options)
            connection.set_trace_callback(lambda _: self._take())
            return connection

        sqlite3.connect = connect
        os.pwrite = self._replace("os.pwrite", os.pwrite)  # no audit event announces it
        sys.addaudithook(self._audit)

    def _replace(self, name: str, really: Callable[..., int]) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            if name != "open" or arguments[1] & os.O_CREAT:
                self._take()
            return really(*arguments)

        def write(descriptor: int, data: int, size: int, offset: int) -> int:
            self._take()
            self._take(lambda: really(descriptor, data, size // 2, offset))
            return really(descriptor, data, size, offset)

        return write if name.startswith("pwrite") else call

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _AUDITED or (event == "open" and (arguments[2] or 0) & os.O_CREAT):
            self._take()

    def _take(self, last_words: Callable[[], object] = lambda: None) -> None:
        if not self.is_armed:
            return
        self.count += 1
        if self.count == self._fatal:
            last_words()
            os.kill(os.getpid(), signal.SIGKILL)


Act = Callable[[Steps, Callable[[], None]], None]
"""What a doomed process does: it arms the steps, and calls the other for each answer it gives."""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["broker.testing", "broker_storage_sqlite.storage"])


def run_doomed(act: Act, fatal: int | None = None) -> tuple[int, int | None]:
    """Run what can be pickled in a process of its own; without a fatal step to its end.

    Return how many answers it gave, and how many steps it took; None if it was killed.
    """
    ours, theirs = _context.Pipe(duplex=False)
    process = _context.Process(target=_live, args=(act, fatal, theirs))
    process.start()
    theirs.close()
    told = list(_receive(ours))
    process.join()
    ours.close()
    if process.exitcode == 0:
        *answers, steps = told
        return len(answers), steps
    assert process.exitcode == -signal.SIGKILL, "it failed by itself; its error is above"
    return len(told), None


def _receive(pipe: Connection) -> Iterator[int]:
    while True:
        try:
            yield pipe.recv()
        except EOFError:
            return


def _live(act: Act, fatal: int | None, pipe: Connection) -> None:
    steps = Steps(fatal)
    steps.watch()
    act(steps, lambda: pipe.send(0))
    pipe.send(steps.count)
