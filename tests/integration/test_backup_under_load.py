"""Backups of a broker at work: each holds everything that was acknowledged before it began."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from served import Served

from broker import MessageQuery
from broker_storage_sqlite.check import check
from broker_storage_sqlite.restore import restore
from broker_storage_sqlite.storage import SQLiteStorage

PUBLISHERS = 8
CONSUMERS = 2
BACKUPS = 6
BETWEEN = 150
"""So many publishes are acknowledged between one backup and the next."""


class Load:
    """Publishers and consumers at work, and what the broker told them."""

    def __init__(self, url):
        self.published = []
        self.acked = []
        self._url = url
        self._ended = threading.Event()
        self._more = threading.Condition()

    def publish(self):
        with httpx.Client(base_url=self._url) as client:
            while not self._ended.is_set():
                body = {"content": "x" * 2000, "group": "g" if len(self.published) % 5 else None}
                answer = client.post("/queues/q/messages", json=body)
                assert answer.status_code == 201, answer.text
                with self._more:
                    self.published.append(answer.json()["message_id"])
                    self._more.notify_all()

    def consume(self):
        with httpx.Client(base_url=self._url) as client:
            while not self._ended.is_set():
                wanted = {"limit": 10, "wait": 1}
                answer = client.post("/queues/q/messages/lease", json=wanted)
                receipts = [message["receipt"] for message in answer.json()["messages"]]
                answer = client.post("/messages/settle", json={"ack": receipts})
                results = answer.json()["results"]
                self.acked += [result["id"] for result in results if result["status"] == "ok"]

    def wait_for(self, count):
        """Return what was told when so many more publishes are acknowledged."""
        with self._more:
            wanted = len(self.published) + count
            assert self._more.wait_for(lambda: len(self.published) >= wanted, timeout=60)
            return set(self.published), set(self.acked)

    def end(self):
        self._ended.set()


async def read(path):
    """Return the states of all messages in a store, by id, as a broker finds them."""
    storage = SQLiteStorage(path)
    await storage.open()
    try:
        page = await storage.browse(MessageQuery(queue="q", limit=1_000_000), now=0)
    finally:
        await storage.close()
    return {message.id: message.state for message in page.messages}


@pytest.fixture
def served(tmp_path):
    served = Served(tmp_path)
    assert served.run("queue", "create", "q").exit_code == 0
    yield served
    served.end()


def back_up_under_load(served):
    """Make backups one after another; return each with what was told before it began."""
    load = Load(served.url)
    with ThreadPoolExecutor(PUBLISHERS + CONSUMERS) as pool:
        working = [pool.submit(load.publish) for _ in range(PUBLISHERS)]
        working += [pool.submit(load.consume) for _ in range(CONSUMERS)]
        made = []
        try:
            for number in range(BACKUPS):
                told = load.wait_for(BETWEEN)
                backup = served.begin("db", "backup", f"{number}.db", "--json")
                output, error = backup.communicate()
                assert backup.returncode == 0, error
                made.append((served.directory / f"{number}.db", *told, json.loads(output)))
            load.wait_for(1)
        finally:
            load.end()
        for work in working:
            work.result()
    return made


def test_each_backup_holds_everything_that_was_acknowledged_before_it(served, tmp_path):
    made = back_up_under_load(served)

    counts = []
    for backup, published, acked, told in made:
        path = tmp_path / backup.stem / "broker.db"
        assert restore(path, backup).messages == told["messages"]
        report = check(path)
        assert report.findings == []
        assert report.messages == told["messages"]
        states = asyncio.run(read(path))
        assert published <= states.keys()
        assert {states[message] for message in acked} <= {"processed"}
        counts.append(len(states))
    assert counts == sorted(counts)
    assert check(served.directory / "broker.db").findings == []
