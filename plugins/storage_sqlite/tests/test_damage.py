"""Damage: bits that flip, logs that are cut, emptied, deleted or exchanged, three hundred times.

Each is refused at the start in one line, or ends the broker in one when it is met, or does no harm.
What no check sees is a bit within a value that is in no index, the text of a body for example; but
nothing ever makes a queue look emptier than it is.
"""

import asyncio
import random
import shutil
from pathlib import Path

import pytest
from lives import Life, beside, take

from broker import StartupError, StorageFailed, Unavailable
from broker_storage_sqlite.storage import SQLiteStorage

MESSAGES = 60
BODIES = {number: b"message %05d " % number * 20 for number in range(1, MESSAGES + 1)}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a killed broker left: half of its messages in the file, half in the log."""
    directory = tmp_path_factory.mktemp("sound")

    async def make() -> None:
        async with Life(directory / "life") as life:
            for number, body in BODIES.items():
                await life.publish(body)
                if number == MESSAGES // 2:
                    life.checkpoint()
            life.end(directory / "broker.db")
        async with Life(directory / "other") as life:
            for body in BODIES.values():
                await life.publish(body)
            life.end(directory / "other.db")

    asyncio.run(make())
    return directory / "broker.db"


def flip(path: Path, dice: random.Random) -> None:
    where = dice.randrange(path.stat().st_size)
    with path.open("r+b") as file:
        file.seek(where)
        [byte] = file.read(1)
        file.seek(where)
        file.write(bytes([byte ^ 1 << dice.randrange(8)]))


def scribble(path: Path, dice: random.Random) -> None:
    """Overwrite a sector, as a disk does that puts it in the wrong place."""
    where = dice.randrange(path.stat().st_size // 512) * 512
    with path.open("r+b") as file:
        file.seek(where)
        file.write(dice.randbytes(512))


def cut(path: Path, dice: random.Random) -> None:
    with path.open("r+b") as file:
        file.truncate(dice.randrange(path.stat().st_size))


def damage(path: Path, sound: Path, dice: random.Random) -> str:
    log = beside(path, "-wal")
    kind = dice.choice(
        ["flip"] * 4 + ["scribble"] * 2 + ["cut", "cut log", "delete log", "swap log"]
    )
    match kind:
        case "flip":
            flip(dice.choice([path, log]), dice)
        case "scribble":
            scribble(dice.choice([path, log]), dice)
        case "cut":
            cut(path, dice)
        case "cut log":
            cut(log, dice)
        case "delete log":
            log.unlink()
        case "swap log":
            shutil.copyfile(sound.with_name("other.db-wal"), log)
    return kind


async def drain(path: Path) -> dict[int, bytes]:
    """Lease everything that there is."""
    storage = SQLiteStorage(path)
    await storage.open()
    try:
        result = await storage.lease("q", limit=1000, lease_until=10, owner="", now=1)
        return {lease.message.id: lease.message.body for lease in result.leases}
    finally:
        await storage.close()


@pytest.mark.parametrize("seed", range(6))
async def test_damage_is_refused_or_reported_or_hides_no_message(
    path: Path, sound: Path, seed: int
) -> None:
    dice = random.Random(seed)
    seen = 0
    for _ in range(50):
        take(sound, path)
        kind = damage(path, sound, dice)
        try:
            found = await drain(path)
        except (StartupError, StorageFailed, Unavailable) as told:
            assert "\n" not in str(told)
            seen += 1
        else:
            assert found.keys() == BODIES.keys(), kind
            changed = sum(found[number] != body for number, body in BODIES.items())
            assert changed <= (kind in ("flip", "scribble")), kind
    assert seen > 20
