"""Tables of the docs, and how a config's field is told there."""

import json
import re


def table(text, heading):
    """The rows of the first table below a heading, as lists of cells."""
    below = f"\n{text}".partition(f"\n{heading}\n")[2]
    rows = re.search(r"(?:^\|.*\|\n)+", below, re.MULTILINE).group().splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def default_of(field):
    """The default of a pydantic field as a table says it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "none" if value is None else f"`{json.dumps(value, default=str)}`"
