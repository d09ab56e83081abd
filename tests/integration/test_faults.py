"""Disks that fail, fill up or are slow, beneath a real broker: nothing that was answered is lost."""

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from injection import demand_strace, injected, under_strace
from served import BROKER, CONFIG, Served

from broker import QueueSpec
from broker_storage_sqlite.storage import SQLiteStorage


@pytest.fixture
def served(tmp_path):
    demand_strace()
    served = Served(tmp_path)
    served.run("queue", "create", "q")
    yield served
    served.process.kill()
    served.process.wait()
    served.process.stdout.close()


def publish(served, *contents):
    """Publish one by one; return the answers."""
    with httpx.Client(base_url=served.url, timeout=60) as client:
        return [
            client.post("/queues/q/messages", json={"content": content}) for content in contents
        ]


def consume(served, limit=100):
    """Lease and ack; return the contents in the order of delivery."""
    with httpx.Client(base_url=served.url, timeout=60) as client:
        leased = client.post("/queues/q/messages/lease", json={"limit": limit})
        messages = leased.raise_for_status().json()["messages"]
        receipts = [message["receipt"] for message in messages]
        client.post("/messages/settle", json={"ack": receipts}).raise_for_status()
    return [message["content"] for message in messages]


@pytest.mark.parametrize("when", [1, 2, 9])
def test_a_commit_that_the_disk_refused_is_not_answered_and_stops_the_broker(served, when):
    acknowledged = ["before"]
    publish(served, "before")
    with injected(served.process, "fdatasync", f"error=EIO:when={when}"):
        for number in range(20):
            [answer] = publish(served, f"message {number}")
            if answer.status_code != 201:
                break
            acknowledged.append(f"message {number}")
        code = served.process.wait(60)
    complaints = (served.directory / "log.txt").read_text()
    served.process.stdout.close()
    served.start()
    recovered = consume(served)

    assert len(acknowledged) == when
    assert (answer.status_code, answer.json()["code"]) == (503, "storage-failed")
    assert code == 74
    assert re.search(
        rf"\[critical \] {re.escape(str(served.directory))}/broker\.db is not written any"
        r" more \(disk I/O error, SQLITE_IOERR_FSYNC\): see that its disk works, and start the"
        r" broker again \[broker\.storage\].*\nbroker: the storage failed; the broker stops\n$",
        complaints,
    )
    assert "Traceback" not in complaints
    # The refused one may be there too: what failed was only to be sure of it.
    assert recovered[: len(acknowledged)] == acknowledged
    assert recovered[len(acknowledged) :] in ([], [f"message {when - 1}"])


def test_a_publish_without_room_is_507_and_works_again_without_a_restart(served):
    publish(served, "before")
    with injected(served.process, "pwrite64", "error=ENOSPC"):
        refused = publish(served, "a", "b", "c")
    [stored] = publish(served, "after")

    assert [answer.status_code for answer in refused] == [507] * 3
    assert {answer.json()["code"] for answer in refused} == {"storage-full"}
    assert stored.status_code == 201
    assert consume(served) == ["before", "after"]
    assert served.end() == 0
    told = re.findall(
        r"\[warning  \] (.*) \[broker\.\S+\].*\n", (served.directory / "log.txt").read_text()
    )
    database = served.directory / "broker.db"
    assert told == [
        f"no room for {database}: publishing is refused until more than 32 MiB are free",
        f"there is room for {database} again",
    ]


def until(served, status):
    """Ask whether the broker is ready, until the answer is this; return that."""
    while (answer := httpx.get(f"{served.url}/readyz")).status_code != status:
        pass
    return answer.json()


def test_a_broker_whose_disk_is_full_is_not_ready_but_alive_until_there_is_room(served):
    assert until(served, 200)["status"] == "ready"
    with injected(served.process, "pwrite64", "error=ENOSPC"):
        problem = until(served, 503)
        alive = httpx.get(f"{served.url}/healthz")
    assert until(served, 200)["status"] == "ready"

    assert problem["checks"]["storage_sqlite"] == (
        "the disk that holds the messages has no room; nothing was stored"
    )
    assert alive.status_code == 200


def test_a_broker_whose_disk_became_read_only_is_not_ready_and_stops(served):
    with injected(served.process, "pwrite64", "error=EROFS"):
        problem = until(served, 503)
        assert served.process.wait(60) == 74

    assert problem["checks"]["storage_sqlite"] == "the storage failed; the broker stops"


def test_a_slow_disk_delays_and_never_reorders(served):
    batches = [[f"{producer} {number}" for number in range(4)] for producer in range(5)]
    with (
        injected(served.process, "fdatasync", "delay_exit=200000"),
        ThreadPoolExecutor(5) as producers,
    ):
        answers = list(producers.map(lambda batch: publish(served, *batch), batches))
    delivered = consume(served)

    by_id = {
        answer.json()["message_id"]: content
        for batch, answered in zip(batches, answers, strict=True)
        for content, answer in zip(batch, answered, strict=True)
    }
    assert delivered == [by_id[number] for number in sorted(by_id)]
    for batch in batches:
        assert [content for content in delivered if content in batch] == batch


def test_a_disk_that_hangs_does_not_keep_others_waiting(served):
    with (
        injected(served.process, "fdatasync", "delay_exit=3000000:when=1"),
        ThreadPoolExecutor(1) as producer,
    ):
        slow = producer.submit(publish, served, "slow")
        statuses = {
            httpx.get(f"{served.url}{path}").status_code
            for path in ("/healthz", "/queues/q", "/queues/q/messages")
        }
        is_first = not slow.done()

    assert (statuses, is_first) == ({200}, True)
    assert slow.result()[0].status_code == 201


DRIVER = """
import asyncio, json, logging, pathlib, sys
from broker import NewMessage, StartupError, StorageFailed, StorageFull
from broker_storage_sqlite.storage import SQLiteStorage

logging.disable()

async def main(path):
    storage = None
    acknowledged, unsure, refusals = [], [], 0
    number = 0
    while refusals < 50:
        try:
            if storage is None:
                opening = SQLiteStorage(path)
                await opening.open()
                storage = opening
            number += 1
            message = NewMessage(queue="q", body=b"%d " % number * 200, visible_at=0)
            await storage.publish([message], now=0)
        except (StartupError, StorageFull):
            refusals += 1
        except StorageFailed:
            refusals += 1
            unsure.append(number)
            await storage.close()
            storage = None
        else:
            acknowledged.append(number)
    if storage is not None:
        await storage.close()
    print(json.dumps([acknowledged, unsure, refusals]))

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


@pytest.mark.parametrize(
    ("call", "error", "every"),
    [
        ("fdatasync", "EIO", 7),
        ("pwrite64", "EIO", 53),
        ("pwrite64", "ENOSPC", 53),
    ],
)
async def test_wherever_the_disk_fails_nothing_acknowledged_is_lost(tmp_path, call, error, every):
    demand_strace()
    path = tmp_path / "broker.db"
    async with opened(path) as storage:
        await storage.put_queue(QueueSpec("q"), expect=None, now=0)
    done = subprocess.run(
        under_strace(
            call, f"error={error}:when=30+{every}", [sys.executable, "-c", DRIVER, str(path)]
        ),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    acknowledged, unsure, refusals = json.loads(done.stdout)
    async with opened(path) as storage:
        leased = await storage.lease("q", limit=10_000, lease_until=10, owner="", now=1)
    numbers = [int(lease.message.body.split()[0]) for lease in leased.leases]

    assert refusals >= 50
    assert numbers == sorted(numbers)
    assert set(acknowledged) <= set(numbers) <= set(acknowledged) | set(unsure)


@asynccontextmanager
async def opened(path):
    storage = SQLiteStorage(path)
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()


def in_a_small_disk(directory):
    """Return a command that runs another with a disk of 64 MiB at `directory`; skip if not here."""
    mount = f"mount -t tmpfs -o size=64m none {directory}"
    for unshare in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        if shutil.which("unshare") and not subprocess.run([*unshare, "sh", "-c", mount]).returncode:
            return [*unshare, "sh", "-c", f'{mount} && exec "$@"', "sh"]
    pytest.skip("nothing may be mounted here")


def test_a_full_disk_refuses_publishing_alone_until_there_is_room_again(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    config = tmp_path / "broker.toml"
    config.write_text(
        CONFIG.format(
            directory=disk,
            anonymous="true",
            server="",
            broker="",
            plugins=["storage_sqlite"],
            tables="",
        )
    )
    with subprocess.Popen(
        [*in_a_small_disk(disk), *BROKER, "serve", "--config", config, "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        url = json.loads(process.stdout.readline())["url"]
        # Nobody else sees that disk, except through the process.
        filler = Path(f"/proc/{process.pid}/root{disk}/filler")
        with httpx.Client(base_url=url, timeout=60) as client:
            client.post("/queues", json={"name": "q", "retain_processed": 0}).raise_for_status()
            stored = fill(client)
            refused = client.post("/queues/q/messages", content=os.urandom(200_000))
            consumed = drain(client)
            filler.write_bytes(bytes(FILLER_BYTES))
            stored_again = fill(client)
            consumed_again = drain(client)
            filler.unlink()
            last = client.post("/queues/q/messages", content=b"last")
            consumed_last = drain(client)
        process.terminate()
        _, complaints = process.communicate()

    assert (refused.status_code, refused.json()["code"]) == (507, "storage-full")
    assert refused.elapsed.total_seconds() < 1
    assert len(stored) > 50
    assert consumed == stored
    assert consumed_again == stored_again
    assert (last.status_code, consumed_last) == (201, [last.json()["message_id"]])
    assert process.returncode == 0
    assert complaints.count(b"there is no room for") <= 2


FILLER_BYTES = 20 * 1024 * 1024


def fill(client):
    """Publish until there is no room; return the ids of what is stored."""
    stored = []
    while True:
        answer = client.post("/queues/q/messages", content=os.urandom(200_000))
        if answer.status_code == 507:
            return stored
        stored.append(answer.raise_for_status().json()["message_id"])


def drain(client):
    """Lease and ack until there is nothing; return the ids."""
    consumed = []
    while True:
        answer = client.post("/queues/q/messages/lease", json={"limit": 10})
        messages = answer.raise_for_status().json()["messages"]
        if not messages:
            return consumed
        receipts = [message["receipt"] for message in messages]
        client.post("/messages/settle", json={"ack": receipts}).raise_for_status()
        consumed += [message["id"] for message in messages]
