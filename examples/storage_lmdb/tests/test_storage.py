"""What the contracts leave to the plugin: its config, a full file, damage."""

import json
from pathlib import Path

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


@pytest.mark.parametrize("left", [None, b"", b"something else"])
async def test_a_store_that_was_there_never_looks_empty(tmp_path: Path, left: bytes | None) -> None:
    storage = OrderedStorage(LMDBStore(tmp_path, MEBIBYTE))
    await storage.open()
    await storage.close()
    (tmp_path / "data.mdb").unlink()
    if left is not None:
        (tmp_path / "data.mdb").write_bytes(left)
    for _ in range(2):
        with pytest.raises(StorageUnreadable):
            await OrderedStorage(LMDBStore(tmp_path, MEBIBYTE)).open()


async def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    storage = OrderedStorage(LMDBStore(tmp_path, MEBIBYTE))
    await storage.open()
    await storage.close()
    assert (tmp_path / "data.mdb").stat().st_mode & 0o077 == 0


async def test_every_option_is_used(broker_factory: BrokerFactory) -> None:
    await assert_config_used(broker_factory, "storage_lmdb")


def test_the_readme_has_the_table_of_the_options() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    for name, field in LMDBConfig.model_fields.items():
        default = json.dumps(field.default)
        assert f"| `{name}` | `{default}` | {field.description} |" in readme
