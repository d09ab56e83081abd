"""The interceptor: messages that break the schema of their queue are not published."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

from broker import ConfigError, FieldError, Identity, Interceptor, NewMessage, Rejected

from broker_json_schema.bodies import names_json, read_json
from broker_json_schema.config import JsonSchemaConfig
from broker_json_schema.schemas import read_schema
from broker_json_schema.wording import problem, shortened

MOST_ERRORS = 10
"""How many are told of one batch."""

FEW_BYTES = 4096
"""What is looked at at once: in some milliseconds at most, unless a schema is large."""


class JsonSchemaInterceptor(Interceptor):
    """Lets pass what keeps the schemas of its queue, as it is."""

    def __init__(self, config: JsonSchemaConfig, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._schemas: dict[str, Any] = {}
        self._of = lru_cache(maxsize=1024)(self._find)
        # One: so a crowd of large bodies has a part of the processor, and others have the rest.
        self._thread: ThreadPoolExecutor | None = None

    async def open(self) -> None:
        """Read the schemas; raises ConfigError if one is broken."""
        for glob, file in self._config.schemas.items():
            try:
                self._schemas[glob] = read_schema(self._folder / file)
            except ConfigError as error:
                raise ConfigError(f'plugins.json_schema.schemas."{glob}": {error}') from error
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="json_schema")

    async def close(self) -> None:
        """End the thread as soon as it is done with a message."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def before_publish(
        self,
        identity: Identity,  # noqa: ARG002  # a schema is the same for everybody
        batch: Sequence[NewMessage],
    ) -> Sequence[NewMessage]:
        """Return the batch; raise Rejected with what is wrong in which of its messages."""
        size = sum(len(message.body) for message in batch if self._of(message.queue))
        if size <= FEW_BYTES or self._thread is None:
            errors = self._errors(batch)
        else:
            given_up = Event()
            try:
                errors = await asyncio.get_running_loop().run_in_executor(
                    self._thread, self._errors, batch, given_up
                )
            finally:
                given_up.set()
        if errors:
            raise Rejected(errors)
        return batch

    def _errors(
        self, batch: Sequence[NewMessage], given_up: Event | None = None
    ) -> list[FieldError]:
        found: list[FieldError] = []
        for place, message in enumerate(batch):
            if len(found) >= MOST_ERRORS or (given_up is not None and given_up.is_set()):
                break
            schemas = self._of(message.queue)
            problems = islice(self._problems(message, schemas), MOST_ERRORS - len(found))
            found += [FieldError(f"messages[{place}].content", text) for text in problems]
        return found

    def _problems(self, message: NewMessage, schemas: Sequence[Any]) -> Iterator[str]:
        if not schemas:
            return
        if not names_json(message.content_type):
            if self._config.not_json == "refuse":
                yield f'expected a content type of JSON, got "{message.content_type}"'
            return
        if len(message.body) > self._config.max_bytes:
            limit = self._config.max_bytes
            yield f"has {len(message.body)} bytes; up to {limit} are checked against a schema"
            return
        try:
            value = read_json(message.body)
        except ValueError as error:
            yield f"is no JSON: {shortened(str(error))}"
            return
        for schema in schemas:
            try:
                yield from map(problem, schema.iter_errors(value))
            except RecursionError:
                yield "is nested too deep"
            except ArithmeticError:
                yield "has a number that is too large to be checked"

    def _find(self, queue: str) -> tuple[Any, ...]:
        return tuple(schema for glob, schema in self._schemas.items() if fnmatchcase(queue, glob))
