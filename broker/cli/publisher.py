"""Publishing batches to one queue over HTTP, and knowing exactly what was acknowledged."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping

import msgspec

from broker.cli.client import Away, Client, NotThere, Problem
from broker.cli.lines import Batch
from broker.cli.options import queue_path
from broker.cli.retrying import keep_trying
from broker.commands import remark


class Published(msgspec.Struct, frozen=True):
    """The part of a publish result that is of interest here."""

    message_id: int
    duplicate: bool = False


class _Answer(msgspec.Struct, frozen=True):
    results: list[Published]


class Publisher:
    """Publishes to one queue, and counts what was acknowledged.

    `fields` go with each message. With `retry_seconds`, each message gets a key of its own, so
    that one which was stored although no answer came is not stored again.
    """

    def __init__(
        self,
        client: Client,
        queue: str,
        *,
        fields: Mapping[str, object],
        create: bool = False,
        retry_seconds: float = 0,
    ) -> None:
        self.acknowledged = 0
        self._client = client
        self._queue = queue
        self._fields = dict(fields)
        self._create = create
        self._retry_seconds = retry_seconds
        self._run = secrets.token_hex(8)

    @property
    def overhead(self) -> int:
        """Count the bytes that each message takes beside its body."""
        return len(msgspec.json.encode(self._message(b"", 10**9)))

    def publish(self, batch: Batch) -> list[Published]:
        """Publish a batch whole; raises Refused or Away, and then none of it is acknowledged."""
        numbered = enumerate(batch.lines, batch.first)
        payload = msgspec.json.encode(
            {"messages": [self._message(line, number) for number, line in numbered]}
        )
        results = keep_trying(
            lambda: self._send(payload), seconds=self._retry_seconds, tell=self._tell
        )
        self.acknowledged += len(results)
        return results

    def _message(self, body: bytes, number: int) -> dict[str, object]:
        key = {}
        if self._retry_seconds and "dedup_key" not in self._fields:
            key = {"dedup_key": f"{self._run}:{number}"}
        return {**_content(body), **self._fields, **key}

    def _send(self, payload: bytes) -> list[Published]:
        try:
            return self._post(payload)
        except NotThere as error:
            if not self._create:
                raise NotThere(Problem(f"{error}; with --create it would be made")) from error
        self._client.call("POST", "/queues", json={"name": self._queue}, accept=(409,))
        self._create = False
        return self._post(payload)

    def _post(self, payload: bytes) -> list[Published]:
        path = queue_path(self._queue, "/messages/batch")
        response = self._client.call("POST", path, json=msgspec.Raw(payload))
        answer: _Answer = self._client.decode(response, _Answer)
        return answer.results

    def _tell(self, error: Away) -> None:
        remark(f"{error}; trying again for up to {self._retry_seconds:g} s")


def _content(body: bytes) -> dict[str, object]:
    """Return the shorter way to write a body in JSON, where a control character takes six bytes."""
    encoded = base64.b64encode(body)
    try:
        text = msgspec.json.encode(body.decode())
    except UnicodeDecodeError:
        return {"content_base64": encoded.decode()}
    if len(text) > len(encoded) + 2:
        return {"content_base64": encoded.decode()}
    return {"content": msgspec.Raw(text)}
