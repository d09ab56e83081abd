"""What a storage leaves in files, and who can read them."""

from __future__ import annotations

import os
import stat
from abc import abstractmethod
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from broker.storage import Storage
from broker.testing.clock import ManualClock
from broker.testing.contract import needs
from broker.testing.storage.bench import Workbench

USUAL_UMASK = 0o022
"""By which what a process makes is everybody's to read, unless it says otherwise."""


class Files:
    """The row about the modes of files."""

    @abstractmethod
    def make_storage(self, tmp_path: Path, clock: ManualClock) -> Storage:
        """See the contract."""

    @needs("durable")
    @pytest.mark.skipif(os.name != "posix", reason="files have no such modes here")
    async def test_its_files_are_for_their_owner_alone(self, bench: Workbench) -> None:
        umask = os.umask(USUAL_UMASK)
        try:
            with TemporaryDirectory() as folder:
                make = partial(self.make_storage, Path(folder), bench.clock)
                async with Workbench(make, bench.clock) as fresh:
                    await fresh.make_queue()
                    await fresh.put_many(100)
                    await fresh.ack(await fresh.take_one())
                    await fresh.maintain()
                    while_open = dict(_for_others(folder))
                assert while_open | dict(_for_others(folder)) == {}
        finally:
            os.umask(umask)


def _for_others(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the files below a directory that others may read or write, each with its mode."""
    for entry in os.scandir(folder):
        mode = entry.stat(follow_symlinks=False).st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            if stat.S_ISDIR(mode):
                yield from _for_others(entry.path)
            elif stat.S_ISREG(mode):
                yield entry.name, oct(stat.S_IMODE(mode))
