"""Power cuts, simulated from what a real broker wrote, synced and answered under load."""

import asyncio
import os
import signal

import pytest

from broker_storage_sqlite import witness
from crash.power_cuts import Recording
from crash.recording import Sync

CUTS = int(os.environ.get("CUTS", "100"))
ENDS = [signal.SIGTERM, signal.SIGKILL, signal.SIGTERM]
"""How the runs of a broker end, of which the later ones begin with what the one before left."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def another_start_of_the_machine(monkeypatch):
    """Stores are recovered after the power came back."""
    monkeypatch.setattr(witness, "boot_id", lambda: "the next start")


def test_what_was_answered_survives_a_power_cut_at_any_moment(tmp_path):
    load = {"rounds": 6, "publishers": 8, "consumers": 4}
    recording = Recording(tmp_path, durability="full", ends=ENDS, **load)

    assert asyncio.run(recording.cut(tmp_path / "images", CUTS)) == {}


def test_without_fsyncs_a_power_cut_takes_what_was_answered_and_leaves_a_sound_store(tmp_path):
    load = {"rounds": 6, "publishers": 8, "consumers": 4}
    recording = Recording(tmp_path, durability="os", ends=ENDS, **load)

    assert asyncio.run(recording.cut(tmp_path / "images", CUTS // 4)) != {}


def test_every_answer_leaves_after_the_fsync_of_what_it_promises(tmp_path):
    load = {"rounds": 18, "publishers": 24, "consumers": 8}
    recording = Recording(tmp_path, durability="full", ends=[signal.SIGTERM], **load)

    assert len(recording.history.timelines) > 10_000
    assert recording.answered_too_early(tmp_path / "image") == []


def test_a_recording_that_lacks_one_fsync_is_seen_to_lose(tmp_path):
    load = {"rounds": 3, "publishers": 2, "consumers": 1}
    recording = Recording(tmp_path, durability="full", ends=[signal.SIGTERM], **load)
    log = recording.store + "-wal"
    syncs = [
        number
        for number, event in enumerate(recording.events)
        if isinstance(event, Sync) and event.path == log
    ]

    early = recording.answered_too_early(tmp_path / "image", without=syncs[len(syncs) // 2])

    assert 0 < len(early) < len(recording.answers) / 2
