"""What the contracts leave to the plugin: its config, a full file, damage."""

import json
from pathlib import Path
from random import Random

import broker_storage_lmdb
import pytest
from broker import Counts, OrderedStorage, StorageFull, StorageUnreadable
from broker.testing import (
    BrokerFactory,
    ManualClock,
    Workbench,
    assert_config_used,
    make_context,
)
from broker_storage_lmdb.config import LMDBConfig
from broker_storage_lmdb.storage import LMDBStore

MEBIBYTE = 1024 * 1024


async def test_a_broker_keeps_its_messages_where_the_config_says(
    broker_factory: BrokerFactory,
) -> None:
    config = {"plugins": {"storage_lmdb": {"path": "kept"}}}
    async with broker_factory(["storage_lmdb"], config=config) as client:
        await client.create_queue("orders")
        await client.publish("orders", "hello")
    async with broker_factory(["storage_lmdb"], config=config) as client:
        [message] = await client.lease("orders")
        assert message["content"] == "hello"


def test_the_storage_says_where_it_is(tmp_path: Path, clock: ManualClock) -> None:
    context = make_context(tmp_path, clock, config=LMDBConfig())
    storage = broker_storage_lmdb.provide_storage(context)
    said = f"LMDB in {tmp_path / 'lmdb'}, what was answered survives a crash"
    assert storage.describe() == said


async def test_a_full_store_takes_no_messages_and_can_be_emptied(tmp_path: Path) -> None:
    def make() -> OrderedStorage:
        return OrderedStorage(LMDBStore(tmp_path, 4 * MEBIBYTE))

    async with Workbench(make, ManualClock()) as bench:
        await bench.make_queue(retain_processed=0)
        published = 0
        with pytest.raises(StorageFull, match="^the store has no room for new messages; nothing"):
            while True:
                await bench.put(bytes(50_000))
                published += 1
        assert published > 50
        while leases := await bench.take(limit=10):
            results = await bench.settle(*(bench.op(lease, "ack") for lease in leases))
            assert {result.outcome for result in results} == {"ok"}
        assert await bench.counts() == Counts()
        for _ in range(published // 2):  # LMDB wants pages that lie together
            await bench.put(bytes(50_000))


async def make_data(tmp_path: Path) -> Path:
    """Return the file of a store with many messages, which was closed."""
    async with Workbench(lambda: OrderedStorage(LMDBStore(tmp_path, MEBIBYTE)), ManualClock()) as b:
        await b.make_queue()
        await b.put_many(100)
    return tmp_path / "data.mdb"


@pytest.mark.parametrize("left", [None, b"", b"something else"])
async def test_a_store_that_was_there_never_looks_empty(tmp_path: Path, left: bytes | None) -> None:
    data = await make_data(tmp_path)
    data.unlink()
    if left is not None:
        data.write_bytes(left)
    for _ in range(2):
        with pytest.raises(StorageUnreadable):
            await OrderedStorage(LMDBStore(data.parent, MEBIBYTE)).open()


@pytest.mark.parametrize("gone", [1, 4096, 20_000])
async def test_a_file_that_was_cut_short_is_refused_with_its_path(
    tmp_path: Path, gone: int
) -> None:
    data = await make_data(tmp_path)
    whole = data.read_bytes()
    data.write_bytes(whole[:-gone])
    said = (
        f"{data} was cut short or removed: it has {len(whole) - gone} bytes of {len(whole)}; "
        f"restore it, or remove {data.with_name('broker.lock')} to take it as it is"
    )
    with pytest.raises(StorageUnreadable) as refused:
        await OrderedStorage(LMDBStore(data.parent, MEBIBYTE)).open()
    assert str(refused.value) == said
    data.write_bytes(whole)
    async with Workbench(
        lambda: OrderedStorage(LMDBStore(data.parent, MEBIBYTE)), ManualClock()
    ) as restored:
        assert await restored.counts() == Counts(pending=100)


@pytest.mark.parametrize("noted", ["", "\0" * 20, "9"])
async def test_what_a_power_cut_leaves_of_the_noted_size_refuses_nothing(
    tmp_path: Path, noted: str
) -> None:
    data = await make_data(tmp_path)
    data.with_name("broker.lock").write_text(noted)
    storage = OrderedStorage(LMDBStore(data.parent, MEBIBYTE))
    await storage.open()
    await storage.close()
    assert int(data.with_name("broker.lock").read_text()) == data.stat().st_size


def test_pages_at_the_end_that_were_never_written_are_no_damage(tmp_path: Path) -> None:
    random, keys = Random(1), [b"%02d" % number for number in range(50)]
    kept = dict.fromkeys(keys, bytes(900))
    store = LMDBStore(tmp_path, MEBIBYTE)
    store.open()
    store.commit(kept)
    for _ in range(3):
        drawn = random.sample(keys, random.randint(1, 50))
        changes = {key: random.choice([None, bytes(900), bytes(3000)]) for key in drawn}
        store.commit(dict(sorted(changes.items(), key=lambda change: change[1] is None)))
        kept |= changes
    pages = store._env.info()["last_pgno"] + 1
    assert (tmp_path / "data.mdb").stat().st_size < pages * store._env.stat()["psize"]
    store.close()
    store.open()
    found = dict(store.scan(b"\x00", b"\xff"))
    assert found == {key: value for key, value in kept.items() if value is not None}
    store.close()


async def test_every_option_is_used(broker_factory: BrokerFactory) -> None:
    await assert_config_used(broker_factory, "storage_lmdb")


def test_the_readme_has_the_table_of_the_options() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    for name, field in LMDBConfig.model_fields.items():
        default = json.dumps(field.default)
        assert f"| `{name}` | `{default}` | {field.description} |" in readme
