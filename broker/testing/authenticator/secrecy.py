"""Secrets: what an authenticator gets to see, and nobody else may."""

from __future__ import annotations

import io
import logging
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import ClassVar

from broker.testing.authenticator.bench import Answer, AuthenticatorBench, Sample

WINDOW = 24
"""How long a piece of a secret is that may not be told; a shorter secret counts whole."""

SHORTEST = 8
"""How long a secret is at least: a shorter text may stand anywhere."""


class Secrecy:
    """The rows about what is told of credentials."""

    secrets: ClassVar[Collection[str]] = ()

    async def test_no_secret_is_told(self, bench: AuthenticatorBench) -> None:
        samples = [await bench.sample(), *(await bench.bad()).values(), *await bench.foreign()]
        with listening() as told:
            await bench.authenticator.ping()
            answers = [await bench.ask(sample) for sample in samples]
        told += [text_of(answer) for answer in answers]
        told.append(repr(bench.authenticator))
        secrets = {*self.secrets, *(token for one in samples for token in tokens_of(bench, one))}
        leaks = [text for text in told if any(is_told(secret, text) for secret in secrets)]
        assert leaks == []


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect what is logged, at whatever level, and printed while the block runs."""
    told: list[str] = []
    root, printed = logging.getLogger(), io.StringIO()
    handler = _Collecting(told)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            yield told
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        told.append(printed.getvalue())


class _Collecting(logging.Handler):
    def __init__(self, told: list[str]) -> None:
        super().__init__()
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        self._told.append(record.getMessage())
        if record.exc_info is not None and record.exc_info[1] is not None:
            self._told.append(words_of(record.exc_info[1]))


def text_of(answer: Answer) -> str:
    """Return all that an answer says."""
    if isinstance(answer, Exception):
        return f"{vars(answer)}\n{words_of(answer)}"
    return repr(answer)


def words_of(error: BaseException) -> str:
    """Return what an exception says, and those from which it was raised; not the lines of code."""
    words = "".join(traceback.format_exception_only(error))
    before = error.__cause__ or error.__context__
    return words if before is None else words + words_of(before)


def tokens_of(bench: AuthenticatorBench, sample: Sample) -> list[str]:
    """Return what is secret of a sample."""
    try:
        credentials = bench.find(sample)
    except Exception:  # noqa: BLE001  # of what cannot be read there is nothing to tell
        return []
    return [] if credentials is None else [credentials.token]


def is_told(secret: str, text: str) -> bool:
    """Tell whether a text has a secret in it, or a piece that is long enough to matter."""
    size = min(len(secret), WINDOW)
    pieces = (secret[at : at + size] for at in range(len(secret) - size + 1))
    return size >= SHORTEST and any(piece in text for piece in pieces)
