"""Secrets in the tables of plugins: pydantic's SecretStr, SecretBytes and Secret.

A plugin says how long a secret has to be in its schema, by `min_length`, and then a shorter one is
refused at the start. Of a field that says nothing and whose name is that of something that signs,
less than 32 bytes are warned of: HMAC with SHA-256 wants as many (RFC 7518, section 3.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from broker.config import Config
from broker.config.shapes import Shape
from broker.doctor.finding import Finding, ok, warning
from broker.plugins import Plugin
from broker.wording import KeyPath, dotted

SHORTEST_BYTES = 32

_SIGNS = re.compile(r"(.*_)?(secret|signing_key|hmac_key)s?")


def look_at_secrets(config: Config, plugins: Sequence[Plugin]) -> Iterator[Finding]:
    """Look at how long secrets are, and where they stand."""
    for plugin in plugins:
        if plugin.config is None:
            continue
        shape = Shape.of(type(plugin.config))
        for place, value in _secrets_in(plugin.config.model_dump(by_alias=True)):
            path = ("plugins", plugin.name, *place)
            problems = [
                *_length(path, value, is_bounded=shape.at(place).is_bounded),
                *_literal(path, config),
            ]
            yield from problems or [ok("literal-secret", dotted(path), "a secret, well kept")]


def _length(path: KeyPath, value: Any, *, is_bounded: bool) -> Iterator[Finding]:
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    if is_bounded or not _SIGNS.fullmatch(name) or not isinstance(value, str | bytes):
        return
    size = len(value.encode() if isinstance(value, str) else value)
    if size < SHORTEST_BYTES:
        text = f"{size} bytes; who has one signature can find it out by trying"
        yield warning("short-secret", dotted(path), text)


def _literal(path: KeyPath, config: Config) -> Iterator[Finding]:
    if config.layers.stands_in_file(path):
        text = f"stands in {config.path}, and so in each backup and each copy of it"
        yield warning("literal-secret", dotted(path), text)


def _secrets_in(value: Any, at: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, Secret | SecretStr | SecretBytes):
        yield at, value.get_secret_value()
    elif isinstance(value, BaseModel):
        yield from _secrets_in(value.model_dump(by_alias=True), at)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _secrets_in(inner, (*at, str(key)))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _secrets_in(inner, (*at, index))
