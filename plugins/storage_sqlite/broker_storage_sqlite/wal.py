"""A write-ahead log, read without SQLite: https://sqlite.org/fileformat2.html#walformat."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_PAGE_SIZES = [2**power for power in range(9, 17)]
_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_BIG_ENDIAN = 0x377F0683
_LITTLE_ENDIAN = 0x377F0682


def read_pages(log: Path) -> Iterator[bytes]:
    """Yield the pages of a log in order, up to the first frame that SQLite would not believe.

    There is none if the log is not there or its header is damaged.
    """
    if not log.exists():
        return
    with log.open("rb") as file:
        header = file.read(_HEADER_BYTES)
        magic, page_size = int.from_bytes(header[:4], "big"), int.from_bytes(header[8:12], "big")
        if magic not in (_BIG_ENDIAN, _LITTLE_ENDIAN) or page_size not in _PAGE_SIZES:
            return
        order = ">" if magic == _BIG_ENDIAN else "<"
        checksum = _add(header[:24], (0, 0), order)
        if header[24:] != struct.pack(">II", *checksum):
            return
        salts = header[16:24]
        size = _FRAME_HEADER_BYTES + page_size
        while len(frame := file.read(size)) == size:
            page = frame[_FRAME_HEADER_BYTES:]
            checksum = _add(page, _add(frame[:8], checksum, order), order)
            # What follows the newest frames is older than the header, or was never written whole.
            if frame[8:24] != salts + struct.pack(">II", *checksum):
                return
            yield page


def _add(content: bytes, checksum: tuple[int, int], order: str) -> tuple[int, int]:
    """Return the checksum of what came before and this, which is a multiple of 8 bytes."""
    first, second = checksum
    for one, other in struct.iter_unpack(f"{order}II", content):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
