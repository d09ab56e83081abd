"""What may stand in a log: no secrets, no bodies, and nothing that a terminal or a reader of lines
might obey.

Secrets are known by where they stand (`password=…`, `Authorization: …`, `scheme://user:…@`) or by
how they look (tokens, receipts). A secret that looks like a word, in the middle of a sentence, is
known to nobody.
"""

from __future__ import annotations

import re
from typing import Any

from broker.wording import MASK, printable

LONGEST_NAME = 300
LONGEST_TEXT = 4096
LONGEST_TRACEBACK = 16_384

LONGEST_LOOKED_AT = 65_536
"""What is beyond it of a text is cut off before it is looked through."""

_WORD = (
    r"authorization|token|passw|passphrase|secret|api_?key|cookie|receipt|ticket|credential|session"
)
_VALUE = r"""b?"(?:[^"\\]|\\.)*"?|b?'(?:[^'\\]|\\.)*'?|[^\s&;,)\]}'"]+"""
_RULES = (
    # the rest of a header's line
    (re.compile(r"\b(authorization|cookie)(\s*:\s*)[^\r\n]+", re.IGNORECASE), r"\1\2" + MASK),
    (re.compile(r"\b(bearer|basic|digest)(\s+)[\w.~+/=-]{8,}", re.IGNORECASE), r"\1\2" + MASK),
    # password=…, "password": …, ("password", …)
    (
        re.compile(
            rf"""({_WORD})(\w{{0,32}}(?:\s?=\s?|['"]\s?[:,]\s?))(?:{_VALUE})""", re.IGNORECASE
        ),
        r"\1\2" + MASK,
    ),
    (re.compile(r"(?<=://)[^\s/?#]*@"), MASK + "@"),
    (re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]*)+"), MASK),
    # what is long, and random by its looks: receipts, tokens of programs
    (re.compile(r"(?=[\w-]{0,99}\d)(?=[\w-]{0,99}[a-z])(?=[\w-]{0,99}[A-Z])[\w-]{40,}"), MASK),
)
_SECRET_FIELD = re.compile(_WORD, re.IGNORECASE)
_UNTOLD_FIELDS = frozenset({"body", "content", "content_base64", "headers", "payload"})


def clean_text(text: str, *, longest: int = LONGEST_TEXT) -> str:
    """Return a text that may be anything as one line without secrets."""
    return _cut(printable(redact(text)), longest)


def clean_lines(text: str) -> str:
    """Return a traceback: lines without secrets, and nothing but their ends that ends a line."""
    text = _without_middle(text, LONGEST_LOOKED_AT - 3)
    lines = (printable(line) for line in redact(text).split("\n"))
    return _without_middle("\n".join(lines), LONGEST_TRACEBACK)


def clean_name(name: str) -> str:
    """Return what names somebody or something, and is no secret itself."""
    return _cut(name if name.isprintable() else printable(name), LONGEST_NAME)


def clean_field(name: str, value: Any) -> Any:
    """Return the value of a field as what may be told of it: numbers as they are, all else as
    text."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if _SECRET_FIELD.search(name):
        return MASK
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    if name.lower() in _UNTOLD_FIELDS:
        return "<not told>"
    return clean_text(value if isinstance(value, str) else repr(value))


def redact(text: str) -> str:
    """Mask what looks like a secret."""
    text = text[:LONGEST_LOOKED_AT]
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def _without_middle(text: str, longest: int) -> str:
    """Cut a traceback: what was raised stands at the end."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n…\n{text[-half:]}"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[:longest] + "…"
