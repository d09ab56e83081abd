"""The disk on which power cuts are simulated keeps what it promised, and may lose all else."""

from random import Random

import pytest

from crash.power_disk import OUTCOMES, Disk
from crash.recording import Create, Rename, Sync, Truncate, Unlink, Write

FILE, OTHER = "/disk/file", "/disk/other"
DURABLE = [Create(FILE), Sync("/disk", 1), Write(FILE, 0, b"old"), Sync(FILE, 3)]


def outcomes(*events, outcome):
    """Everything that this kind of power cut was seen to leave after these events."""
    disk = Disk("/disk")
    for number, event in enumerate(events):
        disk.apply(number, event)
    rng = Random(0)
    images = [disk.after_power_cut(outcome, rng) for _ in range(200)]
    return {tuple(sorted((path, bytes(data)) for path, data in image.items())) for image in images}


def file(data):
    return ((FILE, data),)


@pytest.mark.parametrize(
    ("later", "dropped", "kept"),
    [
        ([], file(b"old"), file(b"old")),
        ([Write(FILE, 0, b"new")], file(b"old"), file(b"new")),
        ([Write(FILE, 5, b"new")], file(b"old"), file(b"old\0\0new")),
        ([Truncate(FILE, 1)], file(b"old"), file(b"o")),
        ([Truncate(FILE, 4)], file(b"old"), file(b"old\0")),
        ([Unlink(FILE)], file(b"old"), ()),
        ([Rename(FILE, OTHER)], file(b"old"), ((OTHER, b"old"),)),
        ([Create(OTHER), Sync(OTHER, 5)], file(b"old"), ((FILE, b"old"), (OTHER, b""))),
        # A write that had not ended when the fsync began, and one that had.
        ([Write(FILE, 0, b"new"), Sync(FILE, 4)], file(b"old"), file(b"new")),
        ([Write(FILE, 0, b"new"), Sync(FILE, 5)], file(b"new"), file(b"new")),
        # A directory keeps its names; its own is kept by the one above.
        (
            [Create("/disk/a", True), Create("/disk/a/b"), Sync("/disk/a", 6)],
            file(b"old"),
            (("/disk/a/b", b""), (FILE, b"old")),
        ),
    ],
)
def test_what_is_not_synced_may_be_dropped_or_kept(later, dropped, kept):
    assert outcomes(*DURABLE, *later, outcome="dropped") == {dropped}
    assert outcomes(*DURABLE, *later, outcome="kept") == {kept}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_what_is_synced_is_kept_by_every_kind_of_power_cut(outcome):
    assert outcomes(*DURABLE, outcome=outcome) == {file(b"old")}


def test_a_later_change_may_be_kept_without_an_earlier_one():
    images = outcomes(*DURABLE, Write(FILE, 0, b"O"), Write(FILE, 2, b"D"), outcome="scattered")

    assert images == {file(b"old"), file(b"Old"), file(b"olD"), file(b"OlD")}


def test_a_write_is_torn_where_sectors_end():
    images = outcomes(*DURABLE, Write(FILE, 511, b"abc"), outcome="torn")

    gap = b"old" + bytes(508)
    assert images == {file(data) for data in (b"old", gap + b"a", gap + b"\0bc", gap + b"abc")}


def test_a_name_may_be_kept_without_the_content():
    images = outcomes(Create(FILE), Write(FILE, 0, b"new"), outcome="scattered")

    assert images == {(), file(b""), file(b"new")}
