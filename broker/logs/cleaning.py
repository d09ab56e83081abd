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
"""No more of a text is looked through, either."""

LONGEST_TRACEBACK = 16_384

LARGEST_NUMBER = 2**63 - 1
"""Readers of JSON may know no larger ones."""

_WORD = (
    r"authorization|token|passw|passphrase|pwd|secret|api[-_]?key|private[-_]?key|cookie|receipt"
    r"|ticket|credential|session"
)
_VALUE = r"""b?"(?:[^"\\]|\\.)*"?|b?'(?:[^'\\]|\\.)*'?|[^\s&;,)\]}'"]+"""
_KEY = r"[A-Z ]{0,30}PRIVATE KEY-----"
_RULES = (
    # the rest of a header's line
    (
        re.compile(r"\b(authorization|cookie|api-?key)(\s*:\s*)[^\r\n]+", re.IGNORECASE),
        r"\1\2" + MASK,
    ),
    (re.compile(r"\b(bearer|basic|digest)(\s+)[\w.~+/=-]{8,}", re.IGNORECASE), r"\1\2" + MASK),
    (
        re.compile(rf"(-----BEGIN {_KEY}).*?(-----END {_KEY}|\Z)", re.DOTALL),
        r"\1" + MASK + r"\2",
    ),
    # password=…, "password": …, ("password", …)
    (
        re.compile(
            rf"""({_WORD})([\w-]{{0,32}}(?:\s?=\s?|['"]\s?[:,]\s?))(?:{_VALUE})""", re.IGNORECASE
        ),
        r"\1\2" + MASK,
    ),
    (re.compile(r"(?<=://)[^\s/?#]*@"), MASK + "@"),
    (re.compile(r"\beyJ[\w-]{8,}+(?:\.[\w-]*)+"), MASK),
)
_RUN = re.compile(r"(?<![\w-])[\w-]{40,}+")
_RANDOM = (re.compile(r"\d"), re.compile(r"[a-z]"), re.compile(r"[A-Z]"))
_UNENDED = re.compile(r"(?<=://)[^\s/?#]*\Z|\beyJ[\w.-]*+\Z")
_UNENDED_RUN = re.compile(r"[\w.~+/=-]+\Z")
"""What may be the beginning of a secret whose end was cut off; of a run, the last 99 characters are
enough: of what is longer, there is enough to be known."""

_SECRET_FIELD = re.compile(_WORD, re.IGNORECASE)
_UNTOLD_FIELDS = frozenset({"body", "content", "content_base64", "headers", "payload"})


def take_text(text: str) -> str:
    """Return as much of a text as `clean_text` wants, at once, however long it is."""
    return text[: LONGEST_TEXT + 1]


def take_name(name: str) -> str:
    """Return as much of a name as `clean_name` wants."""
    return name[: LONGEST_NAME + 1]


def take_lines(text: str) -> str:
    """Return as much of a traceback as `clean_lines` wants: of what is too long, whole lines of
    its beginning and its end, where what was raised stands."""
    text = "\n".join(map(take_text, text.split("\n")))
    if len(text) <= LONGEST_TRACEBACK:
        return text
    head, _, _ = text[: LONGEST_TRACEBACK // 2].rpartition("\n")
    _, _, tail = text[-LONGEST_TRACEBACK // 2 :].partition("\n")
    return f"{head}\n…\n{tail}"


def take_field(name: str, value: Any) -> Any:
    """Return what may be told of the value of a field: numbers as they are, all else as text,
    which `clean_text` takes."""
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_FIELD.search(name):
        return MASK
    if isinstance(value, (int, float)) and abs(value) <= LARGEST_NUMBER:
        return int(value) if isinstance(value, int) else float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    if name.lower() in _UNTOLD_FIELDS:
        return "<not told>"
    return take_text(str.__str__(value) if isinstance(value, str) else repr(value))


def clean_text(text: str, *, longest: int = LONGEST_TEXT) -> str:
    """Return a text that may be anything as one line without secrets."""
    return _cut(printable(redact(_end(text, longest))), longest)


def clean_lines(text: str) -> str:
    """Return a traceback: lines without secrets, and nothing but their ends that ends a line."""
    text = redact("\n".join(_end(line, LONGEST_TEXT) for line in text.split("\n")))
    return "\n".join(_cut(printable(line), LONGEST_TEXT) for line in text.split("\n"))


def clean_name(name: str) -> str:
    """Return what names somebody or something, and is no secret itself."""
    name = take_name(name)
    return _cut(name if name.isprintable() else printable(name), LONGEST_NAME)


def redact(text: str) -> str:
    """Mask what looks like a secret."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return _RUN.sub(_mask_random, text)


def _mask_random(run: re.Match[str]) -> str:
    """Mask what is long, and random by its looks: receipts, tokens of programs."""
    return MASK if all(kind.search(run[0]) for kind in _RANDOM) else run[0]


def _end(text: str, longest: int) -> str:
    """Cut a text that is longer than is looked at; no secret may be left of which there is too
    little to be known."""
    if len(text) <= longest:
        return text
    text = _UNENDED.sub("", text[:longest])
    return text[:-99] + _UNENDED_RUN.sub("", text[-99:]) + "…"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[:longest] + "…"
