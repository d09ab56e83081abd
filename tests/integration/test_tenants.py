"""Two tenants of one broker: whatever one asks, the other might as well not be there."""

from typing import Any, NamedTuple

import pytest

from broker import Draft, Identity, MessageQuery, QueuePolicy, QueueSpec, Settlement
from broker.receipts import Receipt, read_receipt, write_receipt

TENANTS = """
    from broker import Authenticator, Identity, hookimpl

    class Tenants(Authenticator):
        async def authenticate(self, credentials):
            actions = ("publish", "consume", "read", "manage")
            scopes = frozenset(f"{action}:{credentials.token}-*" for action in actions)
            return Identity(subject=credentials.token, scopes=scopes)

    @hookimpl
    def provide_authenticator(plugin):
        return Tenants()
"""
ADMIN = Identity(subject="admin", scopes=frozenset({"admin"}))
A = {"authorization": "Bearer a", "x-request-id": "same"}


class Leased(NamedTuple):
    """A leased message."""

    id: int
    receipt: str

    def forged(self, **changes: Any) -> str:
        """Return a receipt that says something else than the real one."""
        receipt = read_receipt(self.receipt)
        fields = {name: getattr(receipt, name) for name in receipt.__struct_fields__}
        return write_receipt(Receipt(**{**fields, **changes}))


async def fill(broker, queue) -> Leased:
    """Make a queue with a leased message, a failed one and one that waits."""
    await broker.queues.create(ADMIN, QueueSpec(queue, QueuePolicy()))
    drafts = [Draft(queue=queue, body=queue.encode(), dedup_key=key) for key in (None, None, "k")]
    await broker.publish(ADMIN, drafts)
    first, second = (await broker.lease(ADMIN, queue, limit=2)).deliveries
    rejected = Settlement(receipt=read_receipt(second.receipt), kind="reject")
    await broker.settle_one(ADMIN, rejected)
    return Leased(first.message.id, first.receipt)


async def everything(broker, prefix):
    """All that there is in queues with this prefix."""
    queues = await broker.queues.list(ADMIN, prefix=prefix)
    queries = [MessageQuery(queue=status.queue.name) for status in queues]
    return queues, [await broker.browse(ADMIN, query) for query in queries]


def test_a_dead_letter_queue_that_one_may_not_see_is_not_named(serve, install):
    install("tenants", TENANTS)
    call = serve(plugins=["memory", "tenants"])
    call.run(fill(call.broker, "b-dead"))
    policy = QueuePolicy(dead_letter_queue="b-dead")
    call.run(call.broker.queues.create(ADMIN, QueueSpec("a-work", policy)))
    call.run(call.broker.publish(ADMIN, [Draft(queue="a-work", body=b"x")]))
    [leased] = call("POST", "/queues/a-work/messages/lease", json={}, headers=A).json["messages"]

    answer = call("POST", "/messages/settle", json={"reject": [leased["receipt"]]}, headers=A)

    assert answer.status == 200
    assert b"b-dead" not in answer.body


class Worlds:
    """Two brokers: both tenants use the first, and tenant `a` is alone at the second."""

    def __init__(self, shared, alone):
        self.shared, self._alone = shared, alone
        self._owned = [call.run(fill(call.broker, "a-q")) for call in (shared, alone)]
        self.foreign, *_ = [shared.run(fill(shared.broker, name)) for name in ("b-q", "b-r")]

    def everything(self, prefix=""):
        return self.shared.run(everything(self.shared.broker, prefix))

    def ask(self, method, path, body=None, **headers):
        """Ask as `a`; what is there of `b` must change neither the answer nor itself.

        A body may be a function of the message that `a` has leased.
        """
        before = self.everything("b")
        answers = [
            call(method, path, json=body(own) if callable(body) else body, headers=A | headers)
            for call, own in zip((self.shared, self._alone), self._owned, strict=True)
        ]
        assert answers[0] == answers[1]
        assert self.everything("b") == before
        return answers[0]


@pytest.fixture
def worlds(serve, install):
    install("tenants", TENANTS)
    return Worlds(*(serve(plugins=["memory", "tenants"]) for _ in range(2)))


@pytest.mark.parametrize(
    "query",
    ["", "?limit=1", "?limit=2", "?prefix=b", "?prefix=b-&limit=1", "?after=a-q", "?after=b-q"],
)
def test_lists_pages_and_links_show_own_queues_only(worlds, query):
    answer = worlds.ask("GET", f"/queues{query}")

    assert {view["name"] for view in answer.json} <= {"a-q"}
    assert "b-" not in answer.headers.get("link", "")


@pytest.mark.parametrize("after", [0, 3, 4, 5])
def test_messages_are_listed_of_own_queues_only(worlds, after):
    answer = worlds.ask("GET", f"/queues/a-q/messages?after={after}&limit=2")

    assert {message["queue"] for message in answer.json["messages"]} <= {"a-q"}


def test_numbers_about_all_queues_are_for_admins(worlds):
    assert worlds.ask("GET", "/stats").status == 403


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_message_of_another_is_not_there(worlds, method):
    answer = worlds.ask(method, f"/messages/{worlds.foreign.id}")

    assert (answer.status, answer.json["code"]) == (404, "message-not-found")


VERBS = ["ack", "nack", "nack?requeue=true", "extend", "release"]
KINDS = ["ack", "retry", "reject", "release", "extend"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_lease_of_another_cannot_be_ended_by_its_message(worlds, verb):
    assert worlds.ask("POST", f"/messages/{worlds.foreign.id}/{verb}", {}).status == 404


@pytest.mark.parametrize("verb", VERBS)
def test_a_lease_of_another_cannot_be_ended_by_its_receipt(worlds, verb):
    path, body = f"/messages/{worlds.foreign.id}/{verb}", {"receipt": worlds.foreign.receipt}

    assert worlds.ask("POST", path, body).status == 404


@pytest.mark.parametrize("verb", VERBS)
def test_a_receipt_that_names_an_own_queue_tells_nothing_of_the_message_of_another(worlds, verb):
    path, body = (
        f"/messages/{worlds.foreign.id}/{verb}",
        {"receipt": worlds.foreign.forged(queue="a-q")},
    )

    assert worlds.ask("POST", path, body).status == 404


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_batch_too(worlds, kind):
    receipts = [
        worlds.foreign.forged(queue="a-q"),
        worlds.foreign.forged(queue="a-q", token=b"t" * 16),
    ]

    answer = worlds.ask("POST", "/messages/settle", {kind: receipts})

    assert [result["outcome"] for result in answer.json["results"]] == ["not_found"] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_with_a_lease_of_another_settles_nothing(worlds, kind):
    before = worlds.everything()

    answer = worlds.ask(
        "POST",
        "/messages/settle",
        lambda own: {"ack": [own.receipt], kind: [own.receipt, worlds.foreign.receipt]},
    )

    assert (answer.status, answer.json["detail"]) == (404, 'there is no queue "b-q"')
    assert worlds.everything() == before


def test_a_lease_is_not_settled_when_a_publish_with_it_is_to_a_queue_of_another(worlds):
    before = worlds.everything()
    publish = [{"queue": name, "content": "x"} for name in ("a-q", "b-q")]

    answer = worlds.ask(
        "POST", "/messages/settle", lambda own: {"ack": [own.receipt], "publish": publish}
    )

    assert (answer.status, answer.json["detail"]) == (404, 'there is no queue "b-q"')
    assert worlds.everything() == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/queues", {"name": "a-new"}),
        ("PUT", "/queues/a-new", {}),
        ("PUT", "/queues/a-q", {}),
        ("PATCH", "/queues/a-q", {}),
    ],
)
def test_what_fails_cannot_be_sent_to_a_queue_of_another(worlds, method, path, body):
    before = worlds.everything()

    answer = worlds.ask(method, path, {**body, "dead_letter_queue": "b-q"})

    assert (answer.status, answer.fields) == (422, ["dead_letter_queue"])
    assert worlds.everything() == before


@pytest.mark.parametrize(
    "headers", [{}, {"if-match": "*"}, {"if-match": '"1"'}, {"if-none-match": "*"}]
)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_conditions_on_a_queue_of_another_tell_nothing(worlds, method, headers):
    body = None if method == "DELETE" else {}

    assert worlds.ask(method, "/queues/b-q", body, **headers).status in (404, 412)


def test_a_key_against_duplicates_is_known_in_its_queue_only(worlds):
    worlds.shared("POST", "/queues", json={"name": "a-new"}, headers=A)
    draft = {"content": "x", "dedup_key": "k"}

    answer = worlds.shared("POST", "/queues/a-new/messages", json=draft, headers=A)

    assert answer.json["duplicate"] is False


def test_nobody_waits_at_a_queue_of_another(worlds):
    assert worlds.ask("POST", "/queues/b-q/messages/lease", {"wait": 20}).status == 404
