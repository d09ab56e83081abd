"""A small HTTP client: one connection that is kept alive, one request at a time."""

import asyncio
from contextlib import suppress
from typing import Any

import msgspec


class CutOff(Exception):
    """The broker went away, or goes: whether it did what was asked is not known."""


class Client:
    """One keep-alive connection to a broker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> "Client":
        try:
            return cls(*await asyncio.open_connection("127.0.0.1", port))
        except OSError as error:
            raise CutOff from error

    async def request(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, Any]:
        """Return the status and the decoded body of an answer; raises CutOff if none comes.

        Bytes are sent as they are, anything else as JSON. A 5xx is as good as no answer.
        """
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        kind = "application/octet-stream" if content is body else "application/json"
        head = [f"{method} {path} HTTP/1.1", "host: localhost"]
        if body is None:
            content = b""
        else:
            head.append(f"content-type: {kind}")
        head.append(f"content-length: {len(content)}")
        head += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        try:
            self._writer.write("\r\n".join([*head, "", ""]).encode() + content)
            status, answer = await self._read()
        except (OSError, asyncio.IncompleteReadError) as error:
            raise CutOff from error
        if status >= 500:
            raise CutOff
        assert status < 400 or status in (404, 409), answer
        return status, msgspec.json.decode(answer) if answer else None

    async def _read(self) -> tuple[int, bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        _, _, length = head.partition(b"content-length:")
        size = int(length.partition(b"\r\n")[0]) if length else 0
        return int(head[9:12]), await self._reader.readexactly(size)

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):  # the broker was faster
            await self._writer.wait_closed()
