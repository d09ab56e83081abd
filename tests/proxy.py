"""A way to a server that can become slow, in the loop of whoever enters it."""

import asyncio
from contextlib import closing, suppress


class Proxy:
    """Passes bytes on, and counts who asks."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self.delay_seconds = 0.0
        """How late each answer is."""
        self._is_cut = False
        self.asked = 0
        """How often somebody sent something."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> "Proxy":
        self._ways: set[asyncio.Task[None]] = set()
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for way in self._ways:
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    def cut(self) -> None:
        """End all connections, and let nobody through."""
        self._is_cut = True
        self.drop()

    def mend(self) -> None:
        """Let everybody through again."""
        self._is_cut = False

    def drop(self) -> None:
        """End all connections, whatever is said on them."""
        for way in self._ways:
            way.cancel()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.close()
            return
        way = asyncio.create_task(self._serve(reader, writer))
        self._ways.add(way)
        way.add_done_callback(self._ways.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(OSError):
            there = await asyncio.open_connection("127.0.0.1", self._server_port)
            with closing(there[1]):
                back = asyncio.create_task(self._answer(there[0], writer))
                try:
                    while request := await reader.read(65_536):
                        self.asked += 1
                        there[1].write(request)
                finally:
                    back.cancel()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while answer := await reader.read(65_536):
                await asyncio.sleep(self.delay_seconds)  # this is what it is for
                writer.write(answer)
        writer.close()
