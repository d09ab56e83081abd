"""A consumer that stands still for longer than its leases last changes nothing afterwards."""

import json
import os
import signal
import subprocess
import sys

import httpx
import pytest
from served import Served

COUNT = 100

CONSUMER = """
import json, sys
import httpx

with httpx.Client(base_url=sys.argv[1]) as client:
    asked = {"limit": 100, "lease_seconds": 1}
    messages = client.post("/queues/q/messages/lease", json=asked).json()["messages"]
    print(json.dumps([message["id"] for message in messages]), flush=True)
    sys.stdin.readline()
    for message in messages:
        receipt = {"receipt": message["receipt"]}
        print(client.post(f"/messages/{message['id']}/ack", json=receipt).status_code)
"""


@pytest.fixture
def client(tmp_path):
    served = Served(tmp_path)
    with httpx.Client(base_url=served.url) as client:
        yield client
    served.end()


def test_a_consumer_that_was_stopped_past_its_leases_is_fenced_off(client):
    client.post("/queues", json={"name": "q"})
    bodies = [{"content": f"{number}"} for number in range(COUNT)]
    client.post("/queues/q/messages/batch", json={"messages": bodies})
    command = [sys.executable, "-c", CONSUMER, str(client.base_url)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}

    with subprocess.Popen(command, **pipes) as stopped:
        try:
            ids = json.loads(stopped.stdout.readline())
            stopped.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, stopped.pid, os.WSTOPPED)
            taken = []
            while len(taken) < COUNT:
                asked = {"limit": COUNT, "wait": 20}
                taken += client.post("/queues/q/messages/lease", json=asked).json()["messages"]
            stopped.send_signal(signal.SIGCONT)
            late, _ = stopped.communicate("go on\n")
        finally:
            stopped.kill()

    assert late.split() == ["409"] * COUNT
    assert [(message["id"], message["delivery_count"]) for message in taken] == [
        (number, 2) for number in ids
    ]
    acks = [
        client.post(f"/messages/{message['id']}/ack", json={"receipt": message["receipt"]})
        for message in taken
    ]
    assert {ack.status_code for ack in acks} == {200}
    queue = client.get("/queues/q").json()
    assert (queue["counts"]["processed"], queue["totals"]["acked"]) == (COUNT, COUNT)
