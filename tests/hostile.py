"""What hostile clients send by GraphQL: the descriptions in plugins/graphql/tests/hostile, written out.

What is sent is a list of pieces, each a text or a text and how often it comes; there, %i is the number
of the piece and %n the next one. A `query` is sent as JSON; a `body` byte by byte, as Latin-1 reads it.
"""

import json
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent.parent / "plugins" / "graphql" / "tests" / "hostile"


class Hostile(NamedTuple):
    """A request, and how it is refused."""

    name: str
    body: bytes
    status: int
    code: str
    limit: str | None
    received: int | None


def corpus():
    for file in sorted(FOLDER.glob("*.json")):
        for name, entry in json.loads(file.read_text()).items():
            yield Hostile(
                name,
                _body(entry),
                entry.get("status", 400),
                entry["code"],
                entry.get("limit"),
                entry.get("received"),
            )


def _body(entry):
    if "body" in entry:
        return _write(entry["body"]).encode("latin-1")
    more = {key: entry[key] for key in ("variables", "operationName") if key in entry}
    return json.dumps({"query": _write(entry["query"]), **more}).encode()


def _write(pieces):
    return "".join(piece if isinstance(piece, str) else _repeat(*piece) for piece in pieces)


def _repeat(piece, times):
    if "%" not in piece:
        return piece * times
    return "".join(piece.replace("%i", str(i)).replace("%n", str(i + 1)) for i in range(times))
