"""Hooks assemble, objects run: traffic calls no hook."""

import pytest
from pluggy import HookCaller

from broker import read_receipt


@pytest.fixture
def hook_calls(monkeypatch):
    calls = []
    original = HookCaller.__call__

    def recorded(self, **kwargs):
        calls.append(self.name)
        return original(self, **kwargs)

    monkeypatch.setattr(HookCaller, "__call__", recorded)
    return calls


def test_assembling_calls_hooks_and_serving_calls_none(hook_calls, serve):
    call = serve(anonymous=True)
    assert {"provide_storage", "provide_transport", "provide_lifespan"} <= set(hook_calls)
    hook_calls.clear()

    call("POST", "/queues", json={"name": "q"})
    call.publish("one")
    call.publish("two", group="g", delay=1)
    [first] = call.lease()
    assert read_receipt(first["receipt"]).queue == "q"
    call("POST", "/messages/settle", json={"ack": [first["receipt"]]})
    waiting = call.begin("GET", "/queues/q/messages/consume?wait=5")
    call.advance(1)
    assert call.finish(waiting).status == 200
    for path in ("/", "/stats", "/healthz", "/readyz", "/queues/q/messages", "/nowhere"):
        call("GET", path)
    call("POST", "/queues/q/purge")
    call("DELETE", "/queues/q")

    assert hook_calls == []
