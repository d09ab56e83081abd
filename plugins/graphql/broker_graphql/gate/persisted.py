"""Documents that the operator laid down, which clients name by their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from broker import ConfigError

from broker_graphql.gate.refusal import Refused

Document = TypeVar("Document")

_KEY = "plugins.graphql.documents"


def read_folder(folder: Path, read: Callable[[str], Document]) -> dict[str, Document]:
    """Return the documents of a folder by their SHA-256, in hexadecimal.

    Each is a file `*.graphql`, and its hash that of the file as it is. Raises ConfigError, one
    line for each file that cannot be used; `read` raises Refused.
    """
    if not folder.is_dir():
        raise ConfigError(f"{_KEY}: {folder} is no folder; make it, or leave the key out")
    documents: dict[str, Document] = {}
    problems: list[str] = []
    for path in sorted(folder.glob("*.graphql")):
        try:
            content = path.read_bytes()
            documents[hashlib.sha256(content).hexdigest()] = read(content.decode())
        except OSError as error:
            problems.append(f"{_KEY}: {path} cannot be read: {error.strerror}")
        except UnicodeDecodeError as error:
            problems.append(f"{_KEY}: {path} is not UTF-8: {error.reason} at {error.start}")
        except Refused as refusal:
            problems.append(f"{_KEY}: {path} cannot be executed: {refusal}")
    if problems:
        raise ConfigError("\n".join(problems))
    if not documents:
        raise ConfigError(f"{_KEY}: {folder} holds no *.graphql")
    return documents
