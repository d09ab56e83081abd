"""What the audit log tells of queues: through the whole broker, by whoever asked for it."""

import json

import pytest

PLUGIN = """
    from broker import Authenticator, Identity, hookimpl
    from broker_auth_jwt.audit import Audit

    class Names(Authenticator):
        async def authenticate(self, credentials):
            scopes = frozenset({"admin"})
            return Identity(subject=credentials.token, scopes=scopes, peer=credentials.peer)

    @hookimpl
    def provide_authenticator(plugin):
        return Names()

    @hookimpl
    def provide_observer(plugin):
        return Audit(plugin.data_dir / "audit.jsonl", clock=plugin.clock)
"""


@pytest.fixture
def audited(serve, install):
    """A broker whose tokens are names; each may do everything, and `q` holds two messages."""
    install("audited", PLUGIN)
    call = serve(plugins=["memory", "audited"])
    assert call("POST", "/queues", json={"name": "q"}, headers=named("ada")).status == 201
    drafts = {"messages": [{"content": "first"}, {"content": "second"}]}
    answer = call("POST", "/queues/q/messages/batch", json=drafts, headers=named("ada"))
    assert answer.status == 200
    return call


@pytest.fixture
def lines(tmp_path):
    def lines():
        return [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]

    return lines


def named(name):
    return {"Authorization": f"Bearer {name}"}


def test_who_purges_and_deletes_a_queue_is_written_down(audited, lines):
    audited.advance(1.5)
    assert audited("POST", "/queues/q/purge", json={}, headers=named("bob")).json == {"count": 2}
    audited.advance(60)
    assert audited("DELETE", "/queues/q", headers=named("eve")).status == 204

    assert lines() == [
        {
            "at": "2023-11-14T22:13:21.500Z",
            "action": "queue.purged",
            "subject": "bob",
            "peer": "203.0.113.7",
            "queue": "q",
            "count": 2,
        },
        {
            "at": "2023-11-14T22:14:21.500Z",
            "action": "queue.deleted",
            "subject": "eve",
            "peer": "203.0.113.7",
            "queue": "q",
        },
    ]


def test_what_was_refused_or_deletes_no_queue_is_not_written_down(audited, lines):
    assert audited("DELETE", "/queues/none", headers=named("bob")).status == 404
    assert audited("POST", "/queues/none/purge", json={}, headers=named("bob")).status == 404
    assert audited("DELETE", "/messages/1", headers=named("bob")).status == 204

    assert lines() == []


def test_a_broker_that_cannot_write_its_audit_goes_on_deleting(audited, tmp_path):
    (tmp_path / "audit.jsonl").unlink()
    (tmp_path / "audit.jsonl").symlink_to("/dev/full")

    assert audited("DELETE", "/queues/q", headers=named("bob")).status == 204
