"""A client's side of Server-Sent Events, as WHATWG HTML 9.2.5 and 9.2.6 have it."""

import json
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Told:
    """An event as a browser dispatches it."""

    name: str
    data: str
    id: str

    @property
    def json(self):
        return json.loads(self.data)


class Parser:
    """Interprets a stream; `events` are those that it dispatched."""

    def __init__(self):
        self.events = []
        self.last_id = ""
        self.retry = None
        self.comments = 0
        self._new_block()
        self._last_id_buffer = ""

    def _new_block(self):
        self._data, self._name = "", ""

    def feed(self, piece):
        """Interpret whole lines."""
        for line in re.split("\r\n|\r|\n", piece.decode())[:-1]:
            self._line(line)
        return self

    def _line(self, line):
        if not line:
            self._dispatch()
        elif line.startswith(":"):
            self.comments += 1
        else:
            name, _, value = line.partition(":")
            self._field(name, value.removeprefix(" "))

    def _field(self, name, value):
        if name == "event":
            self._name = value
        elif name == "data":
            self._data += value + "\n"
        elif name == "id" and "\0" not in value:
            self._last_id_buffer = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            self.retry = int(value)

    def _dispatch(self):
        self.last_id = self._last_id_buffer
        if self._data:
            self.events.append(Told(self._name or "message", self._data[:-1], self.last_id))
        self._new_block()


def parse(piece):
    """Return the events in a whole stream."""
    return Parser().feed(piece).events
